"""Migration 3: views for auditors, who open the corpus read-only with plain DuckDB. Documented in `docs/auditor.md`.

A column of a view never changes its name, its meaning or its place; later steps may add columns at the end.
`audit_log` is a table macro, since a view over a file could not be made while the corpus is closed to the outside.
"""

from __future__ import annotations

_ALIVE = "candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal"

STATEMENTS = (
    # A place in a source that supports a kept pair.
    f"""CREATE VIEW audit_occurrences AS
        SELECT c.pair_id, c.path, s.sha256 AS source_sha256,
               CAST(json_extract(c.occurrence, '$.locator') AS VARCHAR) AS locator,
               json_extract_string(c.occurrence, '$.text') AS text,
               json_extract_string(c.occurrence, '$.template_sha256') AS template_sha256,
               json_extract_string(c.occurrence, '$.query') AS query,
               CAST(json_extract(c.occurrence, '$.inputs') AS VARCHAR) AS inputs
        FROM (SELECT c.* FROM {_ALIVE}) AS c JOIN source AS s ON s.path = c.path""",
    # A kept pair, as it may be trained on.
    """CREATE VIEW audit_pairs AS
        SELECT p.id, p.split, p.axis, p.label, t.condition, t.kind, t.stratum, t.book, t.derivation, p.boundary,
               t.instruction, t.response, json_extract_string(t.answer, '$.type') AS answer_type,
               json_extract_string(t.answer, '$.value') AS answer_value,
               json_extract_string(t.answer, '$.unit') AS answer_unit, t.content_key, p.valid_from, p.valid_until,
               o.n_occurrences, o.paths
        FROM pair AS p JOIN candidate AS t ON t.unit = p.unit AND t.ordinal = p.ordinal
        JOIN (SELECT pair_id, count(*) AS n_occurrences, list_sort(list_distinct(list(path))) AS paths
              FROM audit_occurrences GROUP BY pair_id) AS o ON o.pair_id = p.id""",
    # Everything that was turned down, of all stages; text is NULL for personal data and secrets.
    """CREATE VIEW audit_rejections AS
        SELECT path, stage, code, gate, detail, source_sha256, locator, text, pair_id FROM rejection
        UNION ALL
        SELECT c.path, 'corpus', v.code, replace(v.code, 'corpus.', 'corpus_'), v.detail, s.sha256,
               CAST(json_extract(c.occurrence, '$.locator') AS VARCHAR),
               c.instruction || chr(10) || chr(10) || c.response, c.pair_id
        FROM verdict AS v JOIN candidate AS c USING (unit, ordinal) JOIN source AS s ON s.path = c.path""",
    # A file, with what its owner declared and what came of it: made = kept + rejected.
    """CREATE VIEW audit_sources AS
        SELECT s.path, s.sha256, CAST(json_extract_string(s.meta, '$.n_bytes') AS BIGINT) AS n_bytes,
               json_extract_string(s.meta, '$.kind') AS kind, json_extract_string(s.meta, '$.format') AS format,
               json_extract_string(s.meta, '$.declared_by') AS declared_by,
               json_extract_string(s.meta, '$.owner') AS owner, json_extract_string(s.meta, '$.license') AS license,
               json_extract_string(s.meta, '$.label') AS label,
               json_extract_string(s.meta, '$.effective_from') AS effective_from,
               json_extract_string(s.meta, '$.effective_until') AS effective_until, s.status, s.reason,
               s.n_records AS records, s.n_barren AS records_without_pair, s.n_made AS made,
               coalesce(k.n, 0) AS kept, s.n_made - coalesce(k.n, 0) AS rejected, coalesce(x.n, 0) AS not_read
        FROM source AS s
        LEFT JOIN (SELECT path, count(*) AS n FROM audit_occurrences GROUP BY path) AS k ON k.path = s.path
        LEFT JOIN (SELECT path, count(*) AS n FROM skip GROUP BY path) AS x ON x.path = s.path""",
    # What was found in files and texts, and what was done about it.
    """CREATE VIEW audit_findings AS
        SELECT path, split_part(part, ' ', 1) AS finding, 'masked' AS done,
               CAST(split_part(part, ' ', 2) AS BIGINT) AS n, pair_id, locator, NULL AS detail
        FROM (SELECT path, pair_id, locator,
                     unnest(string_split(json_extract_string(inputs, '$.redacted'), ', ')) AS part
              FROM audit_occurrences)
        UNION ALL
        SELECT path, code, 'rejected', 1, pair_id, locator, detail FROM rejection
        WHERE gate IN ('personal_data', 'secrets', 'control_tokens', 'unicode')
        UNION ALL SELECT path, code, 'not_read', 1, NULL, locator, detail FROM skip
        UNION ALL
        SELECT path, split_part(reason, ':', 1), 'quarantined', 1, NULL, NULL, reason FROM source
        WHERE status = 'quarantined'
        UNION ALL SELECT path, code, 'not_opened', 1, NULL, NULL, detail FROM refused""",
    # SELECT * FROM audit_log('log.jsonl'): what was frozen, packaged and decided; `link` is what the next line names.
    """CREATE MACRO audit_log(file := 'log.jsonl') AS TABLE
        SELECT CAST(json_extract_string(json, '$.n') AS BIGINT) AS n, json_extract_string(json, '$.at') AS told_at,
               json_extract_string(json, '$.event') AS event, json_extract_string(json, '$.sha256') AS sha256,
               CAST(json_extract(json, '$.facts') AS VARCHAR) AS facts,
               json_extract_string(json, '$.previous') AS previous, sha256(CAST(json AS VARCHAR)) AS link
        FROM read_json_objects(file, format = 'newline_delimited')""",
)
