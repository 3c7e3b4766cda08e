# pyright: basic
"""Does this folder hold what manifest.json says? Run: python -I check.py [FOLDER]. Needs Python 3.9 and pyarrow.

It stands alone on purpose: it reads the formats as they are documented and shares no code with what wrote them.
row = canonical JSON; id = SHA-256 of [condition, instruction, response]; leaf = H(00 row), by id;
node = H(01 left right), the odd one promoted; salted leaf = H(00 salt row), by leaf;
content_root = H(02 train dev test).
"""

import os
import sys

# Without -I, Python would import what lies beside this file: a planted hashlib.py would judge in its place.
sys.path[:] = [one for one in sys.path if os.path.realpath(one) != os.path.dirname(os.path.realpath(__file__))]

import hashlib  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402

try:
    import pyarrow.parquet as parquet
except ImportError:
    sys.exit("check.py reads Parquet with pyarrow, which is not here: python -m pip install pyarrow")

SPLITS = ("train", "dev", "test")
BESIDE = {"manifest.json", "manifest.sha256", "manifest.dsse.json", "erased.json"}
REWRITTEN = {"pairs.parquet", "rejections.parquet", "salts.parquet", "check.py"}  # by an erasure, and nothing else
LEFT = {"erased", "id", "split", "stratum", "kind", "axis", "label", "occurrences"}  # of a row whose texts went
COLUMNS = ["split", "id", "leaf", "salted_leaf", "instruction_tokens", "response_tokens", "row"]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def table(path: pathlib.Path, columns: list) -> list:
    return list(zip(*(parquet.read_table(path, columns=[c])[c].to_pylist() for c in columns)))  # noqa: B905


def root(level: list) -> bytes:
    while len(level) > 1:
        above = [sha(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = above + level[len(level) - len(level) % 2 :]
    return level[0] if level else sha(b"")


def problems(folder: pathlib.Path, told: dict, erased: set) -> list:
    salts = dict(table(folder / "salts.parquet", ["id", "salt"]))
    plain, salted, wrong, seen = {s: [] for s in SPLITS}, {s: [] for s in SPLITS}, [], set()
    tokens, before = {s: [0, 0] for s in SPLITS}, (-1, "")
    for split, key, leaf, name, n_asked, n_told, text in table(folder / "pairs.parquet", COLUMNS):
        raw, row = text.encode(), json.loads(text)
        salt = salts.get(key, b"")
        leaves = sha(b"\x00" + raw), sha(b"\x00" + salt + raw)
        if gone := set(row) <= LEFT and any(one["source_sha256"] in erased for one in row["occurrences"]):
            leaves = bytes.fromhex(leaf), bytes.fromhex(name)  # the texts are gone; the roots answer for their leaves
        place = (SPLITS.index(split), key)
        true_key = key if gone else sha(canonical([row[k] for k in ("condition", "instruction", "response")])).hex()
        told_row = (row["split"], row["id"], leaves[0].hex(), leaves[1].hex())
        same = key == true_key and canonical(row) == raw and told_row == (split, key, leaf, name)
        if not same or place <= before or key in seen or not (gone or len(salt) == 32):
            wrong.append(f"row {key} is altered, out of order or there twice")
        seen.add(key)
        plain[split].append((key, leaves[0]))
        salted[split].append(leaves[1])
        tokens[split], before = [tokens[split][0] + n_asked, tokens[split][1] + n_told], place
    roots = {s: root([leaf for _, leaf in sorted(plain[s])]) for s in SPLITS}
    for s in SPLITS:
        wrong += [] if roots[s].hex() == told["content_roots"][s] else [f"the content root of {s} differs"]
        wrong += [] if root(sorted(salted[s])).hex() == told["roots"][s] else [f"the salted root of {s} differs"]
        counts = [len(plain[s]), *tokens[s]]
        same = counts == [told["splits"][s][name] for name in ("pairs", "instruction_tokens", "response_tokens")]
        wrong += [] if same else [f"the counts of {s} differ"]
    if "leaves.bin" in told["evidence"]:
        leaves, step = {s: sorted(salted[s]) for s in SPLITS}, 65536
        chunks = {s: [root(leaves[s][i : i + step]).hex() for i in range(0, len(leaves[s]), step)] for s in SPLITS}
        same = (folder / "leaves.bin").read_bytes() == b"".join(b"".join(leaves[s]) for s in SPLITS)
        wrong += [] if same else ["leaves.bin holds other leaves"]
        same = json.loads((folder / "chunks.json").read_bytes())["chunks"] == chunks
        wrong += [] if same else ["chunks.json holds other roots"]
    whole = sha(b"\x02" + b"".join(roots[s] for s in SPLITS)).hex()
    return wrong + ([] if whole == told["content_root"] else ["content_root differs"])


def main(folder: pathlib.Path) -> int:
    data = (folder / "manifest.json").read_bytes()
    told = json.loads(data)
    wrong = [] if canonical(told) == data else ["manifest.json is not canonical"]
    if (folder / "manifest.sha256").read_text().split()[0] != sha(data).hex():
        wrong.append("manifest.json is not the file that manifest.sha256 names")
    erased = folder / "erased.json"
    after = json.loads(erased.read_bytes()) if erased.is_file() else {"files": {}, "sources": []}
    for name, digest in told["evidence"].items():
        file, later = folder / name, after["files"].get(name) if name in REWRITTEN else digest
        same = file.is_file() and sha(file.read_bytes()).hex() in (digest, later)
        wrong += [] if same else [f"{name} is missing or altered"]
    extra = sorted(one.name for one in folder.iterdir() if one.name not in {*told["evidence"], *BESIDE})
    wrong += [f"{name} is in no list" for name in extra]
    try:
        wrong += problems(folder, told, set(after["sources"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wrong.append(f"the pairs cannot be read: {error!r}")
    bases = len(told.get("includes") or [])
    aside = f", {bases} included corpora not looked at" if bases else ""
    aside += ", some rows erased" if after["files"] else ""
    print("\n".join(wrong) or f"intact, content_root {told['content_root']}{aside}")
    return 1 if wrong else 0


if __name__ == "__main__":
    here = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent
    try:
        sys.exit(main(here))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.exit(f"{here} is no manifest's folder, or its manifest cannot be read: {error!r}")
