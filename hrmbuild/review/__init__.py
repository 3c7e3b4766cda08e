"""The review page: pairs in a browser of the same machine, decided with the keyboard, evidence beside each.

Owns the page, its HTTP and who may reach it. It must not know a corpus, a gate or where decisions are kept: the
pipeline hands in the pairs, a check for edited texts, and what records a choice. Starlette and uvicorn (extra `review`)
are imported inside functions. Sources: https://www.w3.org/TR/CSP3/, https://datatracker.ietf.org/doc/html/rfc9110
"""
