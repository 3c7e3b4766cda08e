"""Migration 5: table functions for auditors over included corpora, which lie in files of their own, not in this one.

Documented in `docs/auditor.md`; as with the views, a column never changes its name, its meaning or its place. They read
the manifest's folder and the base's evidence pack, so they work where both are at hand, in any DuckDB.
"""

from __future__ import annotations

_MANIFEST = "SELECT CAST(content AS JSON) AS told FROM read_text({folder} || '/manifest.json')"

STATEMENTS = (
    # A file of an included corpus with a pair that is trained on.
    f"""CREATE MACRO audit_included_files(manifest) AS TABLE
        SELECT json_extract_string(one, '$.name') AS base, json_extract_string(one, '$.content_root') AS content_root,
               json_extract_string(file, '$.source.path') AS path,
               json_extract_string(file, '$.source.sha256') AS sha256,
               json_extract_string(file, '$.source.owner') AS owner,
               json_extract_string(file, '$.source.license') AS license,
               json_extract_string(file, '$.source.maker') AS maker,
               json_extract_string(file, '$.source.label') AS label,
               json_extract_string(file, '$.source.stratum') AS stratum,
               CAST(json_extract_string(file, '$.count.pairs') AS BIGINT) AS pairs
        FROM (SELECT one, unnest(json_extract(one, '$.sources[*]')) AS file
              FROM (SELECT unnest(json_extract(told, '$.includes[*]')) AS one
                    FROM ({_MANIFEST.format(folder="manifest")})))""",
    # A pair of an included corpus, and whether it is trained on: `code` and `because` say why it is not.
    f"""CREATE MACRO audit_included_pairs(manifest, base) AS TABLE
        SELECT p.id, p.salted_leaf AS leaf, p.split, json_extract_string(p.row, '$.label') AS label,
               json_extract_string(p.row, '$.kind') AS kind, json_extract_string(p.row, '$.stratum') AS stratum,
               json_extract_string(p.row, '$.instruction') AS instruction,
               json_extract_string(p.row, '$.response') AS response,
               json_extract_string(p.row, '$.occurrences[0].source_sha256') AS source_sha256,
               CAST(json_extract(p.row, '$.occurrences[0].locator') AS VARCHAR) AS locator,
               p.split = 'train' AND gone.id IS NULL AND (taken.strata IS NULL
               OR list_contains(taken.strata, json_extract_string(p.row, '$.stratum'))) AS trained_on,
               gone.code, gone.because
        FROM read_parquet(base || '/pairs.parquet') AS p
        CROSS JOIN (
            SELECT json_extract_string(one, '$.content_root') AS root,
                   CASE WHEN json_extract(one, '$.strata') IS NOT NULL
                        THEN json_extract_string(one, '$.strata[*]') END AS strata
            FROM (SELECT unnest(json_extract(told, '$.includes[*]')) AS one
                  FROM ({_MANIFEST.format(folder="manifest")}))
            WHERE json_extract_string(one, '$.content_root') = (
                SELECT json_extract_string(told, '$.content_root') FROM ({_MANIFEST.format(folder="base")}))
        ) AS taken
        LEFT JOIN (
            SELECT json_extract_string(json, '$.content_root') AS root, json_extract_string(json, '$.id') AS id,
                   json_extract_string(json, '$.code') AS code, json_extract_string(json, '$.because') AS because
            FROM read_json_objects(manifest || '/included_left_out.jsonl', format = 'newline_delimited')
        ) AS gone ON gone.id = p.id AND gone.root = taken.root""",
)
