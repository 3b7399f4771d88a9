"""What stands in for the answers of a model that does not speak a language.

SmolLM2-135M, asked in Chinese, says the question again, or three characters over and over. Such an answer teaches nothing as
the chosen side of a pair. What the model says to the same question in English is an answer, and its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from rather.evaluation.behaviour import repeated
from rather.pairing.identity import whole_sentences
from rather.records import Message, Question, Response

# Of a model's answers in a language, the share that must be answers for it to count as speaking it. SmolLM2-135M has 92 % in
# English and 35 % in Chinese.
SPOKEN = 0.7

# So many questions are asked to find out whether a language is spoken.
TRIAL = 24

# Above this share of words in runs that the same answer has already said, an answer goes round in circles.
CIRCLES = 0.2


def is_answer(response: Response) -> bool:
    """A whole sentence that is neither the question said again nor a few words said over and over."""
    said, asked = _bare(whole_sentences(response)), _bare(response.question.text)
    return bool(said) and not said.startswith(asked) and repeated(response.text) <= CIRCLES


def speaks(answers: Sequence[Response]) -> bool:
    """True if enough of the answers are answers."""
    return sum(map(is_answer, answers)) >= SPOKEN * len(answers)


def answers_or_stand_ins(
    questions: Sequence[Question], english: Mapping[str, str], ask: Callable[[Sequence[Question]], list[Response]]
) -> list[Response]:
    """Answers to questions of one language; if the model does not speak it, what it says to the same questions in English.

    The questions of such answers have the tag `leak`: in which ways an identity can leak into them.

    english: the English question to each question's text. ask: gets an answer to each question, in order.
    """
    trial = ask(questions[:TRIAL])
    if speaks(trial):
        return trial + ask(questions[TRIAL:])
    asked = [Question(prompt=(Message(role="user", content=english[q.text]),), tags=q.tags) for q in questions]
    return [
        answer.model_copy(
            update={"question": question.model_copy(update={"tags": {**question.tags, "leak": "stand_in"}})}
        )
        for question, answer in zip(questions, ask(asked), strict=True)
    ]


def _bare(text: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[\W_]", "", text.casefold())
