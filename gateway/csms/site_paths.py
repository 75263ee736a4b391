"""Paths of stations where one port serves several sites.

`/ocpp/<site>/<station id>` names the site. `/ocpp/<station id>` is enough for a station that exactly one site lists in
its file: two sites may have stations of the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from gateway.csms.admission import Admission

UNKNOWN = "unknown: connect to {path}/<site>/<station id> (or, where only one site lists it, {path}/<station id>)\n"


def path_of(path: str, site: str) -> str:
    """Return the path of the stations of a site."""
    return f"{path}/{site}"


class SitePaths:
    """Finds the admission of the site for the path of a request; `elsewhere` is that of all other paths."""

    def __init__(
        self, path: str, sites: Mapping[str, Admission], listed: Mapping[str, Iterable[str]], elsewhere: Admission
    ) -> None:
        """`listed` has the ids of the stations in the file of each site."""
        self._path, self._sites, self._elsewhere = path + "/", sites, elsewhere
        self._listed: dict[str, str | None] = {}  # sites by station; None: several
        for site, stations in listed.items():
            for name in map(str.casefold, stations):
                self._listed[name] = None if name in self._listed else site

    def __call__(self, path: str) -> Admission:
        """Return the admission."""
        whole = urlsplit(path).path
        if not whole.startswith(self._path):
            return self._elsewhere
        first, *rest = whole.removeprefix(self._path).removesuffix("/").split("/")
        name = unquote(first)
        site: str | None = name if rest else self._listed.get(name.casefold())
        return self._elsewhere if site is None else self._sites.get(site, self._elsewhere)
