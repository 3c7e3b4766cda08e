"""Texts with personal data and secrets, and clean ones that look like them: written apart from the detectors."""
