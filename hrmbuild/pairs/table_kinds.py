"""All kinds of question about shown rows, in the order in which they take turns.

Owns the list. A new kind is one function, its line here, and its wordings in `templates/tables/`.
"""

from __future__ import annotations

from hrmbuild.pairs import table_amounts as amounts
from hrmbuild.pairs import table_counts as counts
from hrmbuild.pairs.table_ask import Kind

KINDS: tuple[Kind, ...] = (
    Kind("lookup", ("key", "number"), counts.lookup),
    Kind("lookup", ("key", "category"), counts.lookup),
    Kind("lookup", ("key", "date"), counts.lookup),
    Kind("count_where", ("category",), counts.count_where),
    Kind("count_above", ("number",), counts.count_above),
    Kind("count_below", ("number",), counts.count_below),
    Kind("count_between", ("number",), counts.count_between),
    Kind("count_both", ("category", "number"), counts.count_both),
    Kind("count_empty", ("number",), counts.count_empty, needs_empty=True),
    Kind("count_distinct", ("category",), counts.count_distinct),
    Kind("sum", ("number",), amounts.aggregate("sum", "Sum")),
    Kind("sum_where", ("category", "number"), amounts.sum_where),
    Kind("mean", ("number",), amounts.mean),
    Kind("min", ("number",), amounts.aggregate("min", "Lowest")),
    Kind("max", ("number",), amounts.aggregate("max", "Highest")),
    Kind("range", ("number",), amounts.spread),
    Kind("difference", ("key", "number"), amounts.difference),
    Kind("compare", ("key", "number"), amounts.compare),
    Kind("share_where", ("category",), counts.share_where),
    Kind("share_of_sum", ("category", "number"), amounts.share_of_sum),
    Kind("second_highest", ("number",), amounts.second_highest),
    Kind("top_three", ("number",), amounts.top_three),
    Kind("sorted", ("number",), amounts.sorted_values),
    Kind("list_where", ("category", "number"), counts.list_where),
    Kind("argmax", ("category", "number"), amounts.extreme_group("DESC", "Highest")),
    Kind("argmin", ("category", "number"), amounts.extreme_group("ASC", "Lowest")),
    Kind("earliest", ("date",), counts.extreme_day("min", "Earliest")),
    Kind("latest", ("date",), counts.extreme_day("max", "Latest")),
    Kind("days_between", ("key", "date"), amounts.days_between),
    Kind("most_common", ("category",), counts.most_common),
    Kind("above_mean", ("number",), counts.above_mean),
    Kind("sum_difference", ("category", "number"), amounts.sum_difference),
)
