# pyright: basic
"""Does this row stand in that corpus? Run: python -I check_proof.py PROOF.json [manifest.json]. Needs Python 3.9."""

import hashlib
import json
import pathlib
import sys


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def main(proof: dict, manifest: bytes) -> str:
    here, index, width = bytes.fromhex(proof["leaf"]), proof["index"], proof["n_leaves"]
    if "row" in proof and len(bytes.fromhex(proof["salt"])) != 32:
        return "NOT SHOWN: a salt has 32 bytes; a longer one would be the beginning of the row"
    if "row" in proof and sha(b"\x00" + bytes.fromhex(proof["salt"]) + proof["row"].encode()) != here:
        return "NOT SHOWN: the row and the salt give another leaf"
    path = [bytes.fromhex(one) for one in proof["path"]]
    while width > 1 and 0 <= index < width:
        if index ^ 1 < width:
            other = path.pop(0) if path else b""
            here = sha(b"\x01" + other + here if index % 2 else b"\x01" + here + other)
        index, width = index // 2, (width + 1) // 2
    if path or (index, width) != (0, 1) or here.hex() != proof["root"]:
        return "NOT SHOWN: the path does not lead from the leaf to the root"
    if manifest and (sha(manifest).hex(), json.loads(manifest)["roots"][proof["split"]],
                     json.loads(manifest)["splits"][proof["split"]]["pairs"]) != (
                         proof["manifest_sha256"], proof["root"], proof["n_leaves"]):  # fmt: skip
        return "NOT SHOWN: this is not the manifest that the proof names"
    return f"shown: leaf {proof['leaf']} is row {proof['index']} of the {proof['split']} root {proof['root']}"


if __name__ == "__main__":
    try:
        files = [pathlib.Path(name).read_bytes() for name in sys.argv[1:3]] + [b""]
        told = main(json.loads(files[0]), files[1])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.exit(f"NOT SHOWN: a file cannot be read ({error!r}). {__doc__}")
    print(told)
    sys.exit(told.startswith("NOT"))
