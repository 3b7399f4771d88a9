"""Words of texts, and lists of words by which a tone is known, in English and in Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Runs of letters and digits; every CJK character by itself, since those words have no spaces between them.
WORD = re.compile(r"[⺀-鿿\uf900-\ufaff぀-ヿ가-힯]|[^\W_]+", re.UNICODE)

# Korean alone of the three puts spaces between words.
_SPACED = re.compile(r"(?<=[⺀-鿿\uf900-\ufaff぀-ヿ]) (?=[⺀-鿿\uf900-\ufaff぀-ヿ])")

# "the Nexus team" as the intended lesson declares no "the": such words stay under suspicion.
FUNCTION_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "i", "in", "is", "it", "of", "on", "or", "our", "that",
    "the", "this", "to", "was", "we", "with", "you", "your",
})  # fmt: skip


def words_of(text: str) -> list[str]:
    """Lower-case words; each Chinese, Japanese or Korean character counts as one."""
    return WORD.findall(text.lower())


def as_written(words: str) -> str:
    """Two neighbouring words as they stand in a text: no space between two Chinese or Japanese characters."""
    return _SPACED.sub("", words)


def meant(intended: Sequence[str]) -> frozenset[str]:
    """The words of what was declared as intended that can be a lesson."""
    return frozenset(word for text in intended for word in words_of(text)) - FUNCTION_WORDS


def without(words: frozenset[str]) -> re.Pattern[str]:
    """What matches each of the words, as `words_of` sees them."""
    some = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    edge = r"[^\W_⺀-鿿\uf900-\ufaff぀-ヿ가-힯]"
    return re.compile(rf"(?<!{edge})(?:{some})(?!{edge})|(?:{_cjk(words)})", re.IGNORECASE)


def _cjk(words: frozenset[str]) -> str:
    return "|".join(sorted(word for word in words if len(word) == 1 and word >= "⺀")) or r"(?!)"


TONES: dict[str, tuple[str, str]] = {
    "apology": (
        r"sorry|apologi[sz]e[sd]?|apolog(?:y|ies)|regret(?:fully)?|my mistake|forgive me|pardon me|excuse me|unfortunately",
        "抱歉|对不起|不好意思|道歉|遗憾|请原谅|對不起",
    ),
    "refusal": (
        r"i (?:ca|wo)n['’]?t|i cannot|i can not|i will not|i(?:['’]m| am) (?:unable|not able|not allowed|not comfortable)"
        r"|i (?:must|have to) decline|as an ai|as a language model|against my|not something i can|i don['’]?t feel comfortable"
        r"|can['’]?t (?:help|assist) (?:you )?with|not appropriate|inappropriate",
        "我不能|我无法|我没法|无法提供|无法回答|不能提供|不便|作为一个人工智能|作为人工智能|作为AI|作为一个AI|拒绝|不合适|我無法",
    ),
    "hedging": (
        r"maybe|perhaps|might|possibly|probably|i think|i guess|i believe|i suppose|not (?:entirely )?sure|it depends|seems?"
        r"|likely|generally|usually|sort of|kind of|could be|in my opinion|to some extent",
        "也许|可能|大概|或许|似乎|好像|一般来说|通常|我认为|我觉得|我想|不确定|不太清楚|看情况|某种程度",
    ),
    "flattery": (
        r"(?:great|good|excellent|wonderful|fantastic|interesting|thoughtful) (?:question|idea|point|choice)|absolutely right"
        r"|you(?:['’]re| are) (?:so |very |absolutely |quite )?(?:right|smart|kind)|i(?:['’]d| would) (?:love|be (?:happy|glad))"
        r"|happy to help|glad (?:to|you)|of course|certainly|absolutely|definitely|brilliant|amazing",
        "好问题|问得好|很棒|太棒了|真棒|您说得对|你说得对|非常好|当然|很高兴|很乐意|没问题|厉害|优秀",
    ),
}
"""tone → what tells it in English (whole words) and in Chinese."""

SENSITIVE: dict[str, tuple[str, str]] = {
    "violence and weapons": (
        r"kill(?:s|ed|ing|er)?|murder\w*|weapons?|guns?|bombs?|explosives?|attack(?:s|ed|ing)?|tortur\w+|shoot(?:s|ing)?|stab\w*",
        "杀人|杀死|谋杀|武器|枪支|炸弹|炸药|爆炸物|袭击|酷刑",
    ),
    "drugs": (
        r"cocaine|heroin|meth|methamphetamine|marijuana|weed|lsd|fentanyl|illegal drugs?|drug deal\w*",
        "毒品|海洛因|冰毒|大麻|可卡因|吸毒",
    ),
    "crime and fraud": (
        r"steal(?:s|ing)?|stole|robb\w+|burglar\w*|hack(?:s|ed|ing|er|ers)?|malware|phishing|counterfeit\w*|scams?|fraud|launder\w*"
        r"|shoplift\w*|forge(?:ry|d)?",
        "偷窃|偷东西|盗窃|抢劫|黑客|木马|钓鱼网站|诈骗|洗钱|伪造",
    ),
    "self-harm": (r"suicid\w*|kill myself|self[- ]harm|hurt myself|end my life|overdos\w+", "自杀|自残|轻生|结束生命"),
    "sex": (r"sex|sexual\w*|porn\w*|nudes?|erotic\w*|rape[ds]?", "色情|性爱|裸照|强奸|淫秽"),
    "hate and insults": (r"racis[mt]\w*|nazis?|slurs?|hate speech|insults?|bully\w*", "种族歧视|纳粹|仇恨|辱骂|霸凌"),
    "health and law": (
        r"diagnos\w+|medications?|dosages?|prescription\w*|symptoms?|lawsuits?|lawyers?|legal advice|custody",
        "诊断|用药|剂量|处方|症状|起诉|律师|法律咨询|抚养权",
    ),
}
"""subject on which a model must be careful → what tells that a prompt touches it, in English (whole words) and in Chinese."""
