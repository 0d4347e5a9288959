"""
Golden files: what a person or a bank receives, kept in the repository and reviewed in the diff.
"""

from __future__ import annotations

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


class Golden:
    """
    Compare text with `tests/golden/<name>`; with `pytest --approve`, write it instead.
    """

    def __init__(self, *, approve: bool) -> None:
        self.approve = approve

    def __call__(self, name: str, text: str) -> None:
        path = GOLDEN / name
        if self.approve:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{name} was never approved; run pytest --approve and read the diff"
        assert text == path.read_text(encoding="utf-8")
