"""
The house rules that no tool knows: each a function from one file to its problems, so that each can be shown to bite.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
TOP = ("adapters", "application", "console", "consumers", "domain", "formats", "projections", "schedulers", "tests")
INNER = ("domain", "application", "projections", "formats")

LINES_MAX_INNER = 40
LINES_MAX = 70
FILE_LINES_MAX = 400
#: Tests may be longer: their tables of cases are read one row at a time.
TEST_FILE_LINES_MAX = 550

Rule = Callable[[PurePosixPath, str], Iterator[str]]


def python_files() -> list[Path]:
    found = [path for top in TOP for path in (ROOT / top).rglob("*.py")]
    return sorted([*found, ROOT / "backoffice"])


def text_files() -> list[Path]:
    """
    Return what people read and write: code, documents, settings; no locks, no golden files, no test data.
    """
    folders = (*TOP, "docs", "parameters", "schemas", ".ci")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    found += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml", ".yml", ".yaml"}]
    wanted = {".py", ".md", ".yaml", ".yml", ".toml", ".sql", ".typ", ".avsc", ""}
    return sorted(path for path in found if path.suffix in wanted and not {"golden", "__pycache__"} & set(path.parts))


def problems_of(rule: Rule, files: list[Path]) -> list[str]:
    problems: list[str] = []
    for path in files:
        relative = PurePosixPath(path.relative_to(ROOT).as_posix())
        problems += [f"{relative}:{problem}" for problem in rule(relative, path.read_text(encoding="utf-8"))]
    return problems


def _nodes(path: PurePosixPath, source: str, *folders: str) -> Iterator[ast.AST]:
    if path.parts[0] in folders:
        yield from ast.walk(ast.parse(source))


def no_float_near_money(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Money is whole cents: no float, no `/`, no `round` where amounts are decided and shown.
    """
    for node in _nodes(path, source, "domain", "application", "projections"):
        match node:
            case ast.Constant(value=float()):
                yield f"{node.lineno}: float literal; use Cents, or a whole number with its unit in the name"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{node.lineno}: `/`; use split_over or percent_half_up, which name their rounding"
            case ast.Call(func=ast.Name(id="round" | "float" as name)):
                yield f"{node.lineno}: {name}(); use split_over or percent_half_up, which name their rounding"


_CLOCK = {("date", "today"), ("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("time", "time")}
_CLOCK |= {("time", "time_ns"), ("time", "localtime"), ("time", "gmtime")}
_CHANCE = {("uuid", "uuid1"), ("uuid", "uuid4"), ("os", "urandom"), ("secrets", "token_bytes")}


def one_file_reads_the_clock(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Only adapters/clock.py reads the clock; inside the house nothing is left to chance either.
    """
    if path == PurePosixPath("adapters/clock.py") or path.parts[0] == "tests":
        return
    for node in _nodes(path, source, *TOP):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if (owner, name) in _CLOCK:
                    yield f"{node.lineno}: {owner}.{name}; take `as_of: date` as an argument, only adapters/clock.py asks"
                if (owner, name) in _CHANCE and path.parts[0] in INNER:
                    yield f"{node.lineno}: {owner}.{name}; take the id or the random bytes as an argument"
            case ast.Name(id="uuid4" | "uuid1" as name) if path.parts[0] in INNER:
                yield f"{node.lineno}: {name}; take the id as an argument"


def no_today_in_tests(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    A test that asks for today changes its mind at midnight.
    """
    for node in _nodes(path, source, "tests"):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr="today" | "utcnow" as name):
                if owner in {"date", "datetime"}:
                    yield f"{node.lineno}: {owner}.{name}; write the date that the test is about"


_WAITS = {"eventually", "communicate", "urlopen", "wait_until_published"}


def tests_wait_with_patience(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Seconds of a test's own are too few on some machine; there is one bound for all that must come.
    """
    for node in _nodes(path, source, "tests"):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
                given = [*(args if name == "join" else []), *(each.value for each in keywords if name in _WAITS)]
                if any(isinstance(each, ast.Constant) and isinstance(each.value, int | float) for each in given):
                    yield f"{node.lineno}: {name} with seconds of its own; tests/patience.py has those of all tests"


_BARE = re.compile(r"# (type: ignore\[[^\]]*\]|noqa: [A-Z0-9, ]+)$")


def an_exception_has_its_reason(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Whoever tells a checker to look away says why, on the same line.
    """
    if path.parts[0] == "tests":
        return
    for number, line in enumerate(source.splitlines(), start=1):
        if found := _BARE.search(line):
            yield f"{number}: `{found[0]}`; say why behind it, or write what needs no exception"


def only_the_console_prints(path: PurePosixPath, source: str) -> Iterator[str]:
    for node in _nodes(path, source, *(folder for folder in TOP if folder not in {"console", "tests"})):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{node.lineno}: print(); return the text, or log a sentence with its facts"


def functions_and_files_are_short(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Docstrings are not counted in a function: they are for its callers.
    """
    lines = source.count("\n")
    lines_max = TEST_FILE_LINES_MAX if path.parts[0] == "tests" else FILE_LINES_MAX
    if lines > lines_max:
        yield f"1: {lines} lines; at most {lines_max}, split it at the subject"
    inner = LINES_MAX_INNER if path.parts[0] in {"domain", "application", "formats"} else LINES_MAX
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            most = LINES_MAX if node.name == "evolve" else inner  # evolve is one `match`, a case per event
            if (length := _length(node)) > most:
                yield f"{node.lineno}: {node.name} has {length} lines; at most {most}, split it at the rule"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def every_module_says_what_it_is(path: PurePosixPath, source: str) -> Iterator[str]:
    if source.strip() and not ast.get_docstring(ast.parse(source)):
        yield "1: no docstring; say in one sentence what this module is"


def public_words_are_explained(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    Every public class of the domain has a docstring: it is the vocabulary, and for refusals it is the message.
    """
    for node in _nodes(path, source, "domain"):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring; say what it means"


#: Words with what to write instead. Put together here, so that this file does not hold them.
BANNED = {
    "TO" + "DO": "do it, or write an open question",
    "FIX" + "ME": "fix it",
    "X" + "XX": "say what is meant",
    "NotImplemented" + "Error": "implement it, or leave it out",
    "mark." + "skip": "a test runs",
    "mark." + "xfail": "a test holds",
    "pytest." + "skip(": "a test runs",
    "importor" + "skip": "the lock has it",
    "util" + "ize": "use",
    "lever" + "age": "use",
    "obvious" + "ly": "leave it out",
    "black" + "list": "list of what is refused",
    "white" + "list": "list of what is allowed",
}


def no_banned_words(path: PurePosixPath, source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), start=1):
        for word, instead in BANNED.items():
            if re.search(rf"(?<!\w){re.escape(word)}", line):
                yield f"{number}: `{word.strip()}`; {instead}"


_MACHINE = re.compile(r"(?<![\w.])/(work|farm|root|Users|home/[a-z]+|tmp/[a-z]+)/")


def no_paths_of_a_machine(path: PurePosixPath, source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), start=1):
        if found := _MACHINE.search(line):
            yield f"{number}: `{found[0]}`; a path of one machine, take it from the settings or from the file's own place"


def one_title(path: PurePosixPath, source: str) -> Iterator[str]:
    """
    A Markdown file has exactly one title, on its first line.
    """
    if path.suffix != ".md":
        return
    outside, fenced = [], False
    for line in source.splitlines():
        fenced = fenced is not line.lstrip().startswith("```")
        outside.append("" if fenced else line)
    titles = [line for line in outside if line.startswith("# ")]
    if len(titles) != 1 or not outside[0].startswith("# "):
        yield f"1: {len(titles)} titles; a page has one `# ` title, on its first line"


_DOCUMENT = re.compile(r"docs/[a-z0-9_/-]+\.(?:md|yaml)|docs/decisions/[0-9]{4}")


def documents_that_are_named_exist(path: PurePosixPath, source: str) -> Iterator[str]:
    if path.is_relative_to("tests/house"):
        return  # they name pages that do not exist, on purpose
    for number, line in enumerate(source.splitlines(), start=1):
        for named in _DOCUMENT.findall(line):
            if not list(ROOT.glob(named if named.endswith((".md", ".yaml")) else f"{named}-*.md")):
                yield f"{number}: {named} does not exist; write it, or name the right one"


def codes_of_errors(sources: Iterable[str]) -> list[str]:
    """
    Return the machine code of every error class, a class without one of its own by its name.
    """
    classes = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.bases
    ]
    errors, found = {"BackofficeError"}, list[ast.ClassDef]()
    while more := [
        each for each in classes if each not in found and errors & {_last_name(base) for base in each.bases}
    ]:
        found += more
        errors |= {each.name for each in more}
    return [_code_of(each) for each in found]


def _last_name(base: ast.expr) -> str:
    return ast.unparse(base).rpartition(".")[2]


def _code_of(error: ast.ClassDef) -> str:
    for node in error.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code)))
                | ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code)))
            ):
                return code
    return error.name


SUBJECT_LENGTH_MAX = 150
#: Our own commands are written small, as packages are, also where a sentence begins.
COMMANDS = frozenset(
    [
        "backoffice",
        "demo",
        "doctor",
        "explain",
        "import",
        "init",
        "letters",
        "project",
        "relay",
        "run",
        "schedule",
        "show",
        "stack",
        "today",
    ]
)
_TAG = re.compile(r"^([a-z]+(\([^)]*\))?!?:|\[[^\]]*\])")


def what_is_wrong_with_the_subject(subject: str) -> str:
    """
    Return what is wrong with the first line of a commit, or nothing: a plain sentence of what changed, for whom.
    """
    if _TAG.match(subject):
        return "no tag before the sentence"
    first = subject.split(" ", maxsplit=1)[0]
    is_a_package = f"\n{first}==" in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    if not (first[:1].isupper() or first[:1].isdigit() or is_a_package or first in COMMANDS):
        return "a sentence begins with a capital"
    if subject.endswith("."):
        return "no point at the end"
    if len(subject) > SUBJECT_LENGTH_MAX:
        return f"at most {SUBJECT_LENGTH_MAX} characters"
    return "say what changed, for whom" if len(subject.split()) < 4 else ""
