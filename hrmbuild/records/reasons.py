"""Reason codes in plain words: what each means for the corpus, and what to do about it.

Owns the words behind `hrmbuild explain CODE`. A code that rejects, skips or quarantines something (`read.*`,
`compile.*`, `gate.*`, `corpus.*`) has its own entry; the codes of errors say what to do in their message, so their
family is explained. A line of the table is a code, its meaning and what to do.
"""

from __future__ import annotations

_REPAIR = "Repair the file or save it again with the program that made it, then run ingest."
_NOTHING = "Nothing has to be done: what was left out is listed, so that nobody takes it for read."
_SPLIT = "Split the file into smaller ones, or leave it out of the sources."
_REWRITE = (
    "Nothing has to be done; to use it, write it as a whole sentence or under a heading of its own, and run ingest."
)
_KEY = "Declare it in hrmbuild.yaml (see the guide), then run ingest."

_LINES = f"""
read.above_header|Lines above a table's header are not read as rows.|{_NOTHING}
read.alternative_part|A mail holds the same text twice (plain and HTML); one of them was read.|{_NOTHING}
read.attached_mail|A mail stands inside this mail and is not read.|Save it as a file of its own among the sources.
read.attachment|A mail's attachment is not read.|Save it as a file of its own among the sources.
read.bad_csv|The rows of this file cannot be told apart.|{_REPAIR}
read.bad_json|This is no valid JSON.|{_REPAIR}
read.bad_locator|A place in a file was named that it does not have.|Run ingest again: the file changed since.
read.bad_decision_table|A decision table cannot be read.|Correct the cell that is named: it says what is expected; \
see `docs/engineer.md`.
read.bad_ruleset|A rule set does not hold to its form.|Correct it where the message says; see the guide on rule sets.
read.bad_unicode|Letters of this file are no valid Unicode.|{_REPAIR}
read.below_table|Lines below a table are not read as rows.|{_NOTHING}
read.beside_table|Cells beside a table are not read.|{_NOTHING}
read.binary|The file holds no text.|Remove it from the sources, or convert it to a format that is read.
read.blob|A column of bytes is not read.|{_NOTHING}
read.broken_archive|The container (zip) of this document is broken.|{_REPAIR}
read.broken_encoding|The letters of this file do not fit its encoding.|{_REPAIR}
read.broken_xml|The XML inside is not well formed.|{_REPAIR}
read.calculated_column|A calculated column is read with its stored values.|{_NOTHING}
read.changed|The file changed while it was read.|Run ingest again when nobody writes to it.
read.comment|A comment in a document is not part of its text.|{_NOTHING}
read.dmn_outside_subset|A decision of a DMN model is no decision table of the kind that is read.|{_NOTHING}
read.duplicate_columns|Two columns have the same name.|Give each column a name of its own, then run ingest.
read.duplicate_key|A key stands twice in one object: which value holds is unclear.|{_REPAIR}
read.embedded_object|An object embedded in a document is not read.|Save it as a file of its own among the sources.
read.empty_table|The table has no rows.|{_NOTHING}
read.encrypted|The file needs a password.|Save a copy without a password among the sources, or leave it out.
read.file_name|The file's name cannot be written in a manifest.|Rename the file, then run ingest.
read.footnote|A footnote is not part of the sentence that it hangs on.|{_NOTHING}
read.form_field|A form's field is not read.|{_NOTHING}
read.formula|A formula was read with its stored value.|{_NOTHING}
read.formula_without_value|A formula was never calculated, so it has no value.|Open and save the workbook, then run \
ingest.
read.front_matter|Settings above a text are not part of it.|{_NOTHING}
read.hidden_sheet|A hidden sheet is not read.|Show the sheet in the workbook if it belongs to the source.
read.hidden_text|Text that a reader cannot see is not read.|Look at it: hidden text in a document is a reason for \
suspicion.
read.image|A picture is not read.|{_NOTHING}
read.link_broken|A link leads to nothing.|Correct or remove the link.
read.link_definition|The definition of a link is not part of the text.|{_NOTHING}
read.link_outside|A link leads out of the sources' folder and was not followed.|Copy the file into the folder.
read.link_to_folder|A link to a folder was not followed.|Copy the folder, or name it as a source.
read.mail_defect|The mail breaks the rules of its format in a place.|{_NOTHING}
read.markup|Markup stands where text was expected.|{_NOTHING}
read.missing|The file vanished while ingest ran.|Run ingest again.
read.missing_block|A case lacks a block that the settings name.|Correct `cases.blocks`, or the file.
read.navigation|Navigation of a page (menus, footers) is not part of its text.|{_NOTHING}
read.nested_value|A value inside a value is not read as a cell.|{_NOTHING}
read.no_cases_setting|The file looks like marked cases, and the settings do not say how to read them.|{_KEY}
read.no_decision_table|No decision of the model is a table that can be read.|See which parts of DMN are read in \
`docs/engineer.md`, or leave it out.
read.no_header|A table has no header.|Put the columns' names into its first row.
read.no_json_lines|No line of this file is a JSON object.|{_REPAIR}
read.no_opener|Nothing on this machine opens this format.|Install the extra that the message names.
read.no_rectangle|No table was found in these cells.|{_REPAIR}
read.no_table|The file holds no table.|Remove it from the sources of kind tables.
read.no_text|The file holds no text: perhaps a picture of text.|Recognise its text (OCR) and use that file.
read.not_a_database|This is no database file.|{_REPAIR}
read.not_a_document|This is no document of the format that its name says.|{_REPAIR}
read.not_a_file|This is no plain file.|Remove it from the sources.
read.not_a_mail|This is no mail.|{_REPAIR}
read.not_a_ruleset|This YAML file is no rule set.|Start it with `ruleset:`, or remove it from the sources.
read.not_a_table_copy|This is no copy of a database's table, or it was cut or edited.|Run ingest where the database \
can be reached.
read.not_a_workbook|This is no workbook.|{_REPAIR}
read.not_allowed|The user of the settings may not read this column of the database.|Grant it, or leave it out.
read.not_an_object|A line is no JSON object.|{_REPAIR}
read.not_cells|These are no cells of a table.|{_REPAIR}
read.not_dmn|The file is no DMN model.|Export it as DMN 1.3 or later, or correct its `format`.
read.not_parquet|This is no Parquet file.|{_REPAIR}
read.not_parsed|A part of the file was not understood.|{_NOTHING}
read.not_yaml|This is no valid YAML.|{_REPAIR}
read.open_elsewhere|Another program has the file open.|Close it there, then run ingest again.
read.other_headers|Header fields of a mail that are not used.|{_NOTHING}
read.other_text_part|A further text part of a mail is not read.|{_NOTHING}
read.page_header|What stands on every page (header, footer) is not part of the text.|{_NOTHING}
read.ragged_row|A row has more or fewer cells than the header.|Correct the row.
read.repeated_block|A case has a block twice.|Correct the file.
read.row_cap|Rows above the limit are not read.|{_SPLIT}
read.sheet_unreadable|A sheet cannot be read.|{_REPAIR}
read.symbol|A symbol of a symbol font has no letter.|{_NOTHING}
read.too_deep|The file is nested deeper than any document needs.|{_SPLIT}
read.too_large|The file is larger than the limit.|{_SPLIT}
read.too_many_fields|A row has more fields than the limit.|{_SPLIT}
read.too_many_tables|The file has more tables than the limit.|{_SPLIT}
read.too_slow|Reading the file took longer than the limit.|{_SPLIT}
read.total_row|A row of totals is not data.|{_NOTHING}
read.tracked_change|Text of a tracked change is not settled.|Accept or refuse the change in the document.
read.undeclared_block|A block of a case that the settings do not name was skipped.|{_NOTHING}
read.undecodable_part|A part of a mail cannot be decoded.|{_NOTHING}
read.secret_name|The name of this file holds a secret, and names are shown to everybody.|Rename the file.
read.unknown_encoding|The encoding of this file could not be told.|Save it as UTF-8, then run ingest.
read.unknown_format|No reader takes this format.|Convert it, or declare `format:` at its source.
read.unreadable|The file cannot be opened.|Check its permissions.
read.unsettled_paragraph|A paragraph holds changes that nobody accepted or refused.|Settle them in the document.
read.view|A view of a database is not read; its tables are.|{_NOTHING}
read.virtual_table|A virtual table is not read.|{_NOTHING}
read.worker_died|The process that read the file died: out of memory, perhaps.|{_SPLIT}
read.write_ahead_log|The database has changes that are not in its file.|Close the program that uses it, then run \
ingest.
read.xml_entities|The XML defines entities, which can be made to exhaust a machine.|Save it without a DTD.
read.yaml_alias|The YAML uses aliases, which can be made to exhaust a machine.|Write the values out.
read.yaml_too_deep|The YAML is nested deeper than any rule set needs.|{_REPAIR}
read.bad_encoding|The file is not written in the encoding that its format demands.|Save it as UTF-8, then run ingest.
read.broken_pdf|The PDF is damaged.|{_REPAIR}
read.broken_rtf|The RTF is damaged.|{_REPAIR}
read.derivation_disagrees|A question's derivation gives another answer than the file.|Correct the file.
read.needs_ocr|A page holds a picture of text.|Recognise its text (OCR) and use that file.
read.no_answer|A question of the file has no answer.|{_NOTHING}
read.no_rows|A table has no rows.|{_NOTHING}
read.not_a_mailbox|This is no mailbox.|{_REPAIR}
read.not_prose|A part of the file is no prose.|{_NOTHING}
read.xml_notes|Notes in an XML document are not part of its text.|{_NOTHING}
compile.ambiguous|A question would have several answers that differ.|{_NOTHING}
compile.empty|Instruction or response is empty.|Correct the row.
compile.expression|An expression of a rule uses what is not allowed.|Use columns, literals, comparisons and plain \
arithmetic.
compile.fragment|A part of a list or sentence would say something else if it stood alone.|{_REWRITE}
compile.markup|It holds template tags, HTML or a table.|{_REWRITE}
compile.no_answer|The row has no answer in the form that the settings ask for.|Correct `mapping.answer_rule`, or the \
row.
compile.no_as_of|Rules have dates, and nothing says which day counts.|Set `as_of` in hrmbuild.yaml.
compile.no_compiler|Nothing makes pairs of this kind of record.|Correct the source's `kind`.
compile.no_connection|This record needs SQL and was given none.|Report it: this is a fault of hrmbuild.
compile.no_mapping|No known shape of pairs fits the row's fields.|Declare `mapping` at the source.
compile.no_question|Nothing in the record can be asked about.|{_REWRITE}
compile.not_a_case|A row is no case of the rule set that `case` names: a cell is empty, or none of its fact's values.\
|Correct the table, the ranges of the rule set's facts, or `case`.
compile.overlap|Rules hold together that the hit policy keeps apart.|Ask the owner; `hrmbuild rules` shows a case \
for each.
compile.several_turns|A talk of several turns is no pair.|Bring one question and one answer a row.
compile.repeated|The same words stand above in the same file, and are asked about there.|{_NOTHING}
compile.too_long|What must be shown does not fit into the limit.|Shorten the passage, or raise the limit where there \
is one.
compile.unknown_condition|The row names a condition that is none of the five.|Correct it, or set `mapping.condition`.
gate.control_character|A control character stands in the text.|Remove it from the source.
gate.control_token|Text imitates a control token of the model.|Look at the source: it may be an attack. Remove the \
token.
gate.empty_instruction|The instruction holds no words.|Correct the source.
gate.empty_response|The response holds no words.|Correct the source.
gate.hidden_character|A character that nobody sees stands in the text.|Look at the source, and remove it.
gate.homoglyph|A word mixes Latin letters with Cyrillic ones that look the same.|Look at the source: it may be an \
attack; \
write the word in one script.
gate.instruction_too_long|The instruction is longer than `gates.max_instruction_bytes`.|Split the text, or raise the \
limit.
gate.language|The text is in none of the languages of `gates.languages`.|Nothing has to be done; to use it, name its \
language there, then run ingest.
gate.lone_surrogate|Half a character stands in the text.|{_REPAIR}
gate.lost_character|A character was lost when the file was decoded before.|Get the file from where it was whole.
gate.not_nfc|A compiler handed over text in another form than NFC.|Report it: this is a fault of hrmbuild.
gate.personal_data|The answer itself is personal data, is computed from it, or shows a kind that \
`gates.personal_data` refuses. Place and reason are kept, the text is not.|Remove it from the source, or let the \
kind pass in `gates.personal_data` if you may use it.
gate.protected|The answer turns on an attribute that `gates.protected` lists, or on one that stands in for it.|Nothing \
has to be done; where a law allows or demands its use, say so with `allowed: {{basis, approver}}`.
gate.response_too_long|The response is longer than `gates.max_response_bytes`.|Split the text, or raise the limit.
gate.secret|A key, token or password stands in the pair. Place and reason are kept, the text is not.|Change the \
secret where it is used, for it stood in a document; then remove it from the source.
gate.ungrounded_date|The answer names a date that does not stand in what is shown.|Correct the source.
gate.ungrounded_number|The answer names a number that does not stand in what is shown.|Correct the source.
permission.label|The file's label is above `gates.permission.max_label`.|{_NOTHING}
permission.licence|The file's licence is none of `gates.permission.licenses`.|Get the permission and declare it, or \
remove the file from the sources.
permission.no_licence|No licence is declared for the file, and the settings ask for one.|{_KEY}
permission.no_owner|Nobody is declared as the file's owner, and the settings ask for one.|{_KEY}
validity.expired|The file was in force until a day before `as_of`.|Nothing has to be done; `history: dated` makes \
questions of it that say when it was.
validity.not_yet|The file is in force from a day after `as_of` on.|Nothing has to be done; it comes in when `as_of` is \
that day.
validity.superseded|Another source holds in place of the file (`supersedes`).|Nothing has to be done; `history: dated` \
makes questions of it that say when it was.
review.rejected|A person refused the pair in a review.|Nothing has to be done; who and why stand in the decisions.
review.edited|A person wrote the pair anew: the text from before is out.|Nothing has to be done; the decision tells why.
withdrawn|The source was withdrawn: a file with these bytes is not read.|Remove it from the sources; to take the \
withdrawal back, record a release of the source.
withdrawn.near_copy|At least half of the words of a withdrawn source stand in the file, in runs of eight.|Remove the \
file, or record a release of the withdrawn source.
source.rejected|A person rejected the source: a file with these bytes is not read.|Remove it, or record an approval of \
the source.
corpus.cap|More pairs than `max_pairs` of the file; those with the smallest draws stayed.|Raise `max_pairs` to keep \
more.
corpus.contradiction|The same question has two answers that are in force at the same time: all of them went. Where \
each pair's other side stands is in the view `audit_conflicts`.|Decide which source holds, and correct or date the \
other; where the question leaves out what decides (a database, a dialect), add that field to `mapping.instruction`.
corpus.leak|A pair that is held out shares so many words in a row (`gates.leak_words`) with this one.|Nothing has to \
be done; to keep it, put both files on one side with `split:` or `group:`.
corpus.near_duplicate|Another pair says nearly the same in nearly the same words; that one stayed.|Nothing has to be \
done; `gates.near_duplicates` is the likeness.
corpus.protected|It shares words in a row with an evaluation set that `gates.protected_sets` names.|Nothing has to \
be done: a model that is scored on the set must not have read it.
"""

REASONS: dict[str, tuple[str, str]] = {
    code: (meaning, action) for code, meaning, action in (line.split("|") for line in _LINES.strip().splitlines())
}
"""Code -> what it means, what to do."""

FAMILIES: dict[str, str] = {
    "config": "The settings (hrmbuild.yaml) cannot be taken as they are. The message names line and remedy.",
    "approvals": "Somebody must approve (or rejected) the manifest before anything is made of it: hrmbuild status.",
    "decide": "What was named cannot be decided about; nothing was recorded.",
    "decisions": "decisions.jsonl or log.jsonl is not as it was written: see hrmbuild audit log.",
    "due": "A day was not written as one: 2027-01-31.",
    "disk": "The disk refused to write: it is full, or not writable.",
    "freeze": "No manifest was written. The message says what is missing; nothing is lost.",
    "include": "A frozen corpus that is included: its folder, root, strata or label are not what the settings say. "
    "Beside an included pair that is not trained on: a held-out pair stands in it (leak), it stands here already "
    "(duplicate), an own pair answers its question otherwise (contradiction: the own one holds), or it was withdrawn.",
    "ingest": "Ingest is done, and its answer is no: the balance sheet shows why.",
    "review": "The review page was not opened, or took a choice for none; what was decided before is kept.",
    "release": "This cannot be let in by a decision; the message says why. Correct the source instead.",
    "store": "The corpus cannot be opened: missing, in use, damaged or of a newer release.",
    "train": "No training, or it stopped; the last checkpoint is whole.",
    "usage": "A flag or argument is wrong, or the order of commands.",
    "verify": "What was checked is not what was frozen, or cannot be checked.",
}
"""Codes of errors by their family, where a family has words of its own."""
ANY_ERROR = "An error of a command. Its message says what is wrong, where, why, and what to do."
