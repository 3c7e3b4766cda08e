"""Tables of a PostgreSQL server: a real one where there is one, and everything that can go wrong on the way to it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import ConfigError, HrmbuildError, InputError
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.verify import verify
from hrmbuild.store.corpus import Corpus

SCHEMA = """
CREATE TYPE state AS ENUM ('open', 'closed');
CREATE DOMAIN premium AS numeric(12,2);
CREATE TABLE customers (customer_id integer PRIMARY KEY, town text NOT NULL, since date, vip boolean);
CREATE SCHEMA sales;
CREATE TABLE sales.orders (
  order_no text PRIMARY KEY, customer_id integer REFERENCES customers, amount premium, paid timestamp, rate real,
  status state, tags text[], raw bytea, note jsonb, cost money);
CREATE TABLE loose (word text, n integer);
CREATE VIEW dear AS SELECT * FROM sales.orders WHERE amount > 5;
CREATE TABLE hidden (id integer PRIMARY KEY, v integer);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
INSERT INTO customers SELECT n, (ARRAY['Bonn','Köln','Ulm'])[n % 3 + 1], date '2020-01-31' + n, n % 2 = 0
  FROM generate_series(1, 30) n;
INSERT INTO sales.orders SELECT 'o' || n, n % 30 + 1, n * 12.30, timestamp '2026-01-01 00:00' + n * interval '1 day',
  0.1, (ARRAY['open','closed'])[n % 2 + 1]::state, '{a}', 'x', '{}', 5 FROM generate_series(1, 60) n;
INSERT INTO loose VALUES ('b', 2), ('a', 1), ('b', 1), (NULL, 3);
CREATE ROLE reader LOGIN PASSWORD 'Kennwort-77';
GRANT USAGE ON SCHEMA sales TO reader;
GRANT SELECT ON customers, sales.orders, loose, hidden TO reader;
"""
SECRET = "Kennwort-77"
CONFIG = """\
name: shop
tokenizer: {{vocab_size: 512}}
sources:
  - path: databases/shop
    kind: tables
    owner: o
    license: internal
    max_pairs: 60
    database: {{url: "{url}", tables: [{tables}]}}
"""


def project_in(folder: Path, url: str, tables: str = "customers, sales.*, loose") -> Project:
    folder.mkdir(exist_ok=True)
    (folder / "hrmbuild.yaml").write_text(CONFIG.format(url=url, tables=tables))
    return load_project(folder / "hrmbuild.yaml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server of its own for these tests."""

    def __init__(self, programs: Path, user: str | None) -> None:
        self.programs, self.user, self.port = programs, user, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="hrm-pg-"))
        if user is not None:
            shutil.chown(self.folder, user)
        self.url = f"postgresql://reader@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        told = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        data = str(self.folder / "data")
        self.run("initdb", "-D", data, "-U", "boss", "-N", "-E", "UTF8",
                 "--locale=C.UTF-8", "--auth-host=scram-sha-256",
                 "--auth-local=trust")  # fmt: skip
        self.run("pg_ctl", "-D", data, "-o", told, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def sql(self, text: str) -> None:
        socket_of = ["-h", str(self.folder), "-p", str(self.port), "-U", "boss", "-d", "postgres"]
        self.run("psql", *socket_of, "-v", "ON_ERROR_STOP=1", "-q", "-c", text)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run([self.programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, user=self.user,
                       cwd=self.folder)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'hrmbuild[postgres]'")
    on_path = [Path(one).parent for one in [shutil.which("initdb")] if one]
    found = [*on_path, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    if not found:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    user = "postgres" if os.geteuid() == 0 else None
    if user and user not in {one.pw_name for one in pwd.getpwall()}:
        pytest.skip("a server does not start as root, and there is no user postgres")
    one = Server(found[-1], user)
    try:
        one.start()
        one.sql(SCHEMA)
        yield one
    finally:
        one.stop()


@pytest.fixture
def shop(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    return project_in(tmp_path / "p", server.url)


@pytest.mark.slow
def test_tables_of_a_server_become_pairs_and_changed_rows_are_seen(server: Server, shop: Project) -> None:
    report = ingest(shop)
    names = [f"databases/shop/{one}.tablecopy" for one in ("public.customers", "public.loose", "sales.orders")]
    assert [(one.source.path, one.status) for one in report.sources] == [(name, "read") for name in names]
    with Corpus.open(shop.corpus_path, read_only=True) as corpus:
        skips = sorted((one.skip.code, one.skip.detail) for one in corpus.skips())
        texts = [pair.instruction for pair in corpus.pairs()]
    assert [code for code, _ in skips] == ["read.blob", *["read.nested_value"] * 3]
    assert any("customer_id -> customers.customer_id" in text for text in texts), "a join over a key"
    assert any("147.60" in text for text in texts), "numerics keep their decimals"
    before = {path.name: path.read_bytes() for path in (shop.folder / "databases/shop").iterdir()}
    assert ingest(shop).redone == ()
    frozen = freeze(shop)
    assert verify(frozen.folder, project=shop).ok
    server.sql("UPDATE loose SET n = 7 WHERE word = 'a'")
    shown = ingest(shop, dry_run=True)
    assert set(shown.redone) == set(names), "a dry run copies too"
    assert {path.name: path.read_bytes() for path in (shop.folder / "databases/shop").iterdir()} == before
    assert set(ingest(shop).redone) == set(names)
    server.sql("UPDATE loose SET n = 1 WHERE word = 'a'")
    assert ingest(shop).balance == report.balance
    after = {path.name: path.read_bytes() for path in (shop.folder / "databases/shop").iterdir()}
    assert after == before, "equal rows are equal bytes, wherever the server keeps them now"
    for path in shop.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert oct((shop.folder / "databases/shop/public.loose.tablecopy").stat().st_mode)[-3:] == "600"
    fewer = project_in(shop.folder, server.url, "customers")
    assert [one.source.path for one in ingest(fewer).sources] == names[:1]
    assert sorted(path.name for path in (shop.folder / "databases/shop").iterdir()) == ["public.customers.tablecopy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tables", "code", "said"),
    [
        ("custmers", "database.unknown_table", "did you mean 'public.customers'"),
        ("dear", "database.unknown_table", "is a view"),
        ("empty.*", "database.unknown_table", "no table empty.*"),
        ("hidden", "database.not_allowed", "row-level security"),
        ("'loose; DROP TABLE loose'", "database.unknown_table", "no table loose; DROP"),
    ],
)
def test_what_the_server_does_not_give_is_said(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: str, code: str, said: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with pytest.raises(HrmbuildError) as caught:
        ingest(project_in(tmp_path / "p", server.url, tables))
    assert caught.value.code == code and said in f"{caught.value.what} {caught.value.fix}"


@pytest.mark.slow
def test_a_wrong_password_is_said_and_not_shown(
    server: Server, shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(shop)
    before = shop.corpus_path.read_bytes()
    for word in ("wrong-word", None):
        monkeypatch.setenv("PGPASSWORD", word) if word else monkeypatch.delenv("PGPASSWORD")
        with pytest.raises(InputError) as caught:
            ingest(shop)
        assert caught.value.code == "database.login" and "wrong-word" not in str(caught.value)
    assert shop.corpus_path.read_bytes() == before
    service = tmp_path / "services"
    service.write_text(f"[shop]\nhost=127.0.0.1\nport={server.port}\nuser=reader\ndbname=postgres\npassword={SECRET}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert ingest(project_in(shop.folder, "postgresql:///?service=shop")).redone == ()


def test_a_server_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    project = project_in(tmp_path / "p", f"postgresql://reader@127.0.0.1:{free_port()}/shop")
    with pytest.raises(InputError) as caught:
        ingest(project)
    assert caught.value.code == "database.unreachable" and "refused" in caught.value.what
    assert caught.value.where == "hrmbuild.yaml:4" and not project.corpus_path.exists()


def test_without_the_driver_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError) as caught:
        ingest(project_in(tmp_path / "p", "postgresql:///shop"))
    assert caught.value.code == "database.no_driver" and caught.value.fix == "pip install 'hrmbuild[postgres]'"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:geheim-9@h/d", "must not hold a password"),
        ("postgresql://h/d?password=geheim-9", "must not hold a password"),
        ("postgresql://h/d?options=-cgeheim-9", "parameters that are not taken: options"),
        ("mysql://u:geheim-9@h/d", "must begin with postgresql://"),
        ("postgresql://u:geheim-9@h:99999999/d", "no URL"),
    ],
)
def test_a_password_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project_in(tmp_path / "p", url)
    assert said in str(caught.value.what) and "geheim-9" not in f"{caught.value} {caught.value.why} {caught.value.fix}"


@pytest.mark.parametrize("change", [("kind: tables", "kind: rules"), ("databases/shop", "databases/*")])
def test_a_database_needs_one_folder_and_tables(tmp_path: Path, change: tuple[str, str]) -> None:
    (tmp_path / "hrmbuild.yaml").write_text(CONFIG.format(url="postgresql:///d", tables="t").replace(*change))
    with pytest.raises(ConfigError, match="`database` needs"):
        load_project(tmp_path / "hrmbuild.yaml")


def test_a_copy_that_was_cut_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "x.tablecopy").write_text('{"format":1}\n["a"]\n')
    (tmp_path / "hrmbuild.yaml").write_text("name: t\nsources: [{path: '*.tablecopy', kind: tables}]\n")
    report = ingest(load_project(tmp_path / "hrmbuild.yaml"))
    assert [why.split(":")[0] for _, why in report.quarantined] == ["read.not_a_table_copy"]
