"""What one sees in the terminal: the question, the answers side by side, and the keys."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Input, Static, TextArea

from rather.annotation.terminal.client import Client, Task
from rather.errors import RatherError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Answers are shown as text, but a terminal obeys some characters: those are shown as what they are.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")


class Judging(App[None]):
    """One task at a time, from the server, until there is none or the annotator leaves."""

    CSS = """
    #question { height: auto; max-height: 30%; padding: 0 1; background: $panel; }
    #answers { height: 1fr; }
    .answer { width: 1fr; border: round $primary; padding: 0 1; }
    #say { height: auto; padding: 0 1; }
    #edit { height: 40%; }
    #told { color: $text-warning; height: auto; padding: 0 1; }
    """
    TITLE = "rather annotate"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "verdict('a')", "A is better"),
        Binding("b", "verdict('b')", "B is better"),
        Binding("t", "verdict('tie')", "tie"),
        Binding("x", "verdict('both_bad')", "both bad"),
        Binding("s", "skip", "can't judge"),
        Binding("c", "comment", "comment"),
        Binding("u", "undo", "undo"),
        Binding("escape", "leave", "to the keys"),
        Binding("ctrl+s", "send", "send"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._asking: dict[str, Any] = {}
        self._task: Task | None = None
        self._last: Task | None = None
        self._again = False  # True while the last vote is being revised
        self._writing: Literal["reason", "comment"] | None = (
            None  # what the line below the answers is for, if not for the vote
        )
        self._comment = ""

    def compose(self) -> ComposeResult:
        yield VerticalScroll(Static(id="prompt", markup=False), id="question")
        yield Horizontal(id="answers")
        yield Static(id="told", markup=False)
        yield Input(id="say")
        yield TextArea(id="edit")
        yield Footer()

    async def on_mount(self) -> None:
        """The first task."""
        self._asking = self._client.settings()
        await self._go_on("")

    async def _go_on(self, told: str) -> None:
        self._again = False
        await self._show(self._client.next(), told)

    async def _show(self, task: Task | None, told: str) -> None:
        self._task, self._writing, self._comment = task, None, ""
        progress = self._client.progress()
        self.sub_title = (
            f"{progress['voted']} votes of yours, {progress['finished']} of {progress['items']} items finished"
        )
        answers, say, edit = (
            self.query_one("#answers"),
            self.query_one("#say", Input),
            self.query_one("#edit", TextArea),
        )
        await answers.remove_children()
        say.display = task is not None and task.kind in ("rank", "rate")
        edit.display = task is not None and task.kind == "edit"
        say.value = ""
        self.query_one("#told", Static).update(told)
        self.refresh_bindings()
        prompt = self.query_one("#prompt", Static)
        if task is None:
            failed = progress["failed"]
            prompt.update(
                "Thank you. You cannot go on with this project." if failed else "There is nothing to judge for you now."
            )
            return
        prompt.update(_plain(task.prompt))
        for letter, answer in zip(LETTERS, task.answers, strict=False):
            box = VerticalScroll(Static(_plain(answer), markup=False), classes="answer")
            box.border_title = letter
            await answers.mount(box)
        if task.kind == "edit":
            edit.text = task.answers[0]
            edit.focus()
        elif say.display:
            self._ask(self._help(task))
        else:
            self.set_focus(answers.children[0])

    def _ask(self, what: str, value: str = "") -> None:
        """Have a line written below the answers."""
        say = self.query_one("#say", Input)
        say.display, say.placeholder, say.value = True, what, value
        say.focus()
        self.refresh_bindings()

    def _help(self, task: Task) -> str:
        if task.kind == "rank":
            return "best first, ties with =, as B A=C; then Enter"
        return (
            " ".join(f"{name} {low} to {high};" for name, (low, high) in self._asking["aspects"].items())
            + " scores in this order"
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the keys that say something about this task."""
        kind = None if self._task is None else self._task.kind
        if action == "verdict":
            return kind == "compare" and (parameters[0] in ("a", "b") or bool(self._asking.get("ties")))
        if action == "skip":
            return kind is not None and not self._again
        if action == "undo":
            return self._last is not None and not self._again
        if action == "send":
            return kind == "edit"
        if action == "comment":
            return kind is not None
        if action == "leave":
            return isinstance(self.focused, (Input, TextArea))
        return True

    async def action_verdict(self, verdict: str) -> None:
        """A, B, tie or both bad."""
        await self._say({"verdict": verdict})

    async def action_send(self) -> None:
        """The edited answer."""
        await self._say({"text": self.query_one("#edit", TextArea).text})

    async def on_input_submitted(self, said: Input.Submitted) -> None:
        """A ranking or scores, or what was asked for beside them."""
        if self._task is None:
            return
        if self._writing == "reason":
            if await self._sent(lambda item: self._client.skip(item, said.value)) is not None:
                self._last = self._task
                await self._go_on("skipped")
            return
        if self._writing == "comment":
            self._comment = said.value.strip()
            self.query_one("#told", Static).update(f"comment: {self._comment}" if self._comment else "")
            await self.action_leave()
            return
        try:
            vote = (
                ranks_of(said.value, len(self._task.answers)) if self._task.kind == "rank" else self._scores(said.value)
            )
        except ValueError as error:
            self.query_one("#told", Static).update(str(error))
            return
        await self._say(vote)

    async def action_skip(self) -> None:
        """Can't judge: why is asked first, and may be left empty."""
        self._writing = "reason"
        self._ask("why can you not judge this? Enter skips it, Esc goes back")

    async def action_comment(self) -> None:
        """What goes with the vote."""
        self._writing = "comment"
        self._ask("a comment, sent with the vote; Enter keeps it, Esc goes back", self._comment)

    async def action_leave(self) -> None:
        """From writing to the keys; what else was asked for than the vote is put away."""
        say, edit = self.query_one("#say", Input), self.query_one("#edit", TextArea)
        kind = None if self._task is None else self._task.kind
        if self._writing is None:
            self.set_focus(self.query_one("#answers").children[0])
            return
        self._writing = None
        say.display = False
        if self._task is not None and kind in ("rank", "rate"):
            self._ask(self._help(self._task))
        elif kind == "edit":
            edit.focus()
        else:
            self.set_focus(self.query_one("#answers").children[0])

    async def action_undo(self) -> None:
        """Vote anew on the last one."""
        if self._last is not None:
            self._again = True
            await self._show(self._last, "vote anew: what you said before stays on record")

    async def _say(self, vote: dict[str, Any]) -> None:
        if self._task is None:
            return
        send = self._client.revise if self._again else self._client.vote
        said = {**vote, "comment": self._comment} if self._comment else vote
        receipt = await self._sent(lambda item: send(item, said))
        if receipt is not None:
            self._last = self._task
            await self._go_on(told_of(receipt))

    async def _sent(self, send: Any) -> dict[str, Any] | None:
        """What the server says; None where it refuses or is away, which is told."""
        assert self._task is not None
        try:
            return send(self._task.item) or {}
        except RatherError as error:
            self.query_one("#told", Static).update(f"{error}; nothing was sent")
            return None

    def _scores(self, text: str) -> dict[str, Any]:
        aspects = list(self._asking["aspects"])
        numbers = text.replace(",", " ").split()
        if len(numbers) != len(aspects) or not all(number.isdigit() for number in numbers):
            raise ValueError(f"{len(aspects)} whole numbers, in the order of {', '.join(aspects)}")
        return {"scores": dict(zip(aspects, map(int, numbers), strict=True))}


def ranks_of(text: str, answers: int) -> dict[str, Any]:
    """`B A=C` → places of A, B, C …: 2, 1, 2; what is not named is left out. Raises ValueError."""
    ranks: list[int | None] = [None] * answers
    for place, group in enumerate(re.sub(r"\s*=\s*", "=", text.upper().replace(">", " ")).split(), start=1):
        for letter in group.split("="):
            number = LETTERS.find(letter) if len(letter) == 1 else -1
            if not 0 <= number < answers or ranks[number] is not None:
                raise ValueError(f"{letter or group}: name each of {LETTERS[:answers]} once at most, as B A=C")
            ranks[number] = place
    if sum(rank is not None for rank in ranks) < 2:
        raise ValueError("name two answers at least")
    return {"ranks": ranks}


def told_of(receipt: dict[str, Any]) -> str:
    """What a receipt says of a gold item."""
    if receipt.get("right") is None:
        return ""
    if receipt["right"]:
        return "That was a known item, and right."
    return "That was a known item, and others say otherwise. " + (receipt.get("why") or "")


def _plain(text: str | list[dict[str, str]]) -> str:
    if not isinstance(text, str):
        text = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in text)
    return _CONTROL.sub(lambda found: f"<U+{ord(found[0]):04X}>", text.replace("\r\n", "\n"))
