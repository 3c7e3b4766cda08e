"""The tree against a recursive reading of RFC 6962 and literal digests."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.audit import merkle

digests = st.binary(min_size=32, max_size=32)


def rfc_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word: split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + rfc_root(leaves[:k]) + rfc_root(leaves[k:])).digest()


@given(st.lists(digests, max_size=40))
def test_root_equals_the_recursive_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == rfc_root(leaves)


@given(st.lists(digests, min_size=1, max_size=40), st.data())
def test_every_proof_leads_to_the_root_and_no_other_leaf_does(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.proof(leaves, index)
    found = merkle.root_of_proof(leaves[index], index=index, n_leaves=len(leaves), path=path)
    other = hashlib.sha256(leaves[index]).digest()
    assert found == merkle.root(leaves)
    assert merkle.root_of_proof(other, index=index, n_leaves=len(leaves), path=path) != merkle.root(leaves)


def test_a_proof_of_the_wrong_length_leads_nowhere() -> None:
    leaves = [merkle.leaf(bytes([i])) for i in range(5)]
    path = merkle.proof(leaves, 2)
    assert merkle.root_of_proof(leaves[2], index=2, n_leaves=5, path=path[:-1]) is None
    assert merkle.root_of_proof(leaves[2], index=2, n_leaves=5, path=[*path, path[0]]) is None


def test_literal_digests_of_rfc_6962() -> None:
    # The values of certificate-transparency's reference tests for the empty tree and the empty leaf.
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_salt_changes_the_leaf_and_must_be_32_bytes() -> None:
    assert merkle.salted_leaf(b"s" * 32, b"row") != merkle.leaf(b"row")
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.salted_leaf(b"short", b"row")


def test_proof_refuses_a_leaf_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        merkle.proof([b"x" * 32], 1)
