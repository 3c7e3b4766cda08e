"""Which licences have a name that everybody knows: the SPDX ids that model hubs list.

Owns the list. It must not judge a licence: `internal`, `contract:REF` and whatever is not listed stay words of the
owner's. Source: https://spdx.org/licenses/; the hubs write the same ids in small letters.
"""

from __future__ import annotations

from typing import Final

SPDX_IDS: Final = (
    "AFL-3.0", "AGPL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause",
    "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0",
    "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-2.0",
    "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0",
    "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "ECL-2.0", "EPL-1.0", "EPL-2.0", "EUPL-1.1",
    "EUPL-1.2", "GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later", "ISC",
    "LGPL-2.1", "LGPL-3.0", "LPPL-1.3c", "MIT", "MPL-2.0", "MS-PL", "NCSA", "ODbL-1.0", "OFL-1.1", "OSL-3.0",
    "PostgreSQL", "Unlicense", "WTFPL", "Zlib",
)  # fmt: skip

_BY_SMALL_LETTERS: Final = {spdx.lower(): spdx for spdx in SPDX_IDS}


def spdx_id(license_: str) -> str | None:
    """The licence as SPDX spells it, None where it is none of the list; case does not matter."""
    return _BY_SMALL_LETTERS.get(license_.strip().lower())
