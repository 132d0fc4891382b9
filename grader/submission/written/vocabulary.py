"""The words of headings under which students write, in English, Korean, Chinese and Japanese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["LONGEST_TITLE", "Vocabulary", "plain_title"]

LONGEST_TITLE = 200  # characters of a heading that are looked at

# A heading with one of these asks for the student's own words, whatever else is in it.
_ASKS = (
    r"\b(?:discussions?|discuss(?:ed|ing)?|exercises?|take[ -]?aways?|take[ -]?home messages?|memos?|insights?"
    r"|lessons? learn(?:ed|t)|what (?:i|we)(?: have|'ve|’ve)? (?:learn(?:ed|t)?|understood)|things? i learn(?:ed|t)"
    r"|til|q ?(?:&|and|n|/) ?a|my (?:own )?(?:answers?|thoughts?|notes?|opinions?|views?|words|summary|conclusions?"
    r"|comments?|understanding|experiments?|observations?|reflections?))\b",
    r"토론|토의|논의|고찰|연습 ?문제|느낀 ?점|배운 ?점|배운 ?것|알게 ?된|깨달은|소감|메모|회고|인사이트"
    r"|(?:나의|내) ?(?:생각|의견|답|정리)|생각해 ?볼",
    r"小[结結]|[总總][结結]|[练練][习習]|[习習][题題]|[讨討][论論]|心得|[体體][会會]|感想|反思|[笔筆][记記]|思考|收[获穫]"
    r"|解答|[启啟][发發示]",
    r"まとめ(?![るてた])|考察|演習|メモ|議論|学んだ|気づ|振り返り|要約|所感|ディスカッション",
)
# These may also be about something else ("Model summary"), so they count only if nothing else is in the heading.
_WEAK = (
    r"summary|summaries|conclusions?|concluding|reflections?|notes?|answers?|solutions?|responses?|thoughts?"
    r"|comments?|observations?|remarks?|recap|questions?|problems?|opinions?|ideas?|findings?|analys[ie]s"
    r"|interpretations?|explanations?|q\d*",
    r"요약|정리|결론|노트|답안?|답변|해답|정답|풀이|해설|문제|질문|생각|의견|코멘트|관찰|해석|분석|설명|복습|후기|감상|필기"
    r"|총평|마무리|과제",
    r"答案|答|解|[结結][论論]|回答|[问問][题題]|理解|想法|[观觀]察|[评評][论論]|分析|解[释釋析]|摘要|[备備][注註]|作[业業]",
    r"結論|答え|解説|ノート|疑問|質問|コメント|意見|分かったこと|わかったこと",
)
_LINKS = (
    r"and|or|of|the|an?|on|in|to|from|with|about|my|our|own|for|your|this|each|section|sec|chapter|ch|part"
    r"|messages?|key|main|brief|short|final|overall|personal|general|some|points?|ideas?|remarks?|written|lab|self|etc",
    r"및|과|와|의|에|대한|내용|핵심|나의|내|절|장|제|간단|개인|최종|전체|주요|개념|실험|결과|이번|오늘",
    r"我的|我|个人|個人|本[节節章]|[课課][后後]|与|與|和|及|的|第|[节節章]|[学學][习習]|要[点點]",
    r"と|の|自分|私|節",
)
# Such a heading is about everything, wherever it stands.
_OVERALL = re.compile(r"\b(?:overall|whole|entire|all (?:the )?sections)\b|전체|전반|[总總]体|全体|整体|整體")

_PLURAL = re.compile(r"(?<=[a-z]{3})(?<!s)s$")
_WORD = re.compile(r"\w+")
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_COMMAND = re.compile(r"\\(?:text(?:bf|it|rm)|section|subsection|large|Large|huge|bold|mathbf)\*?")
_MARKS = re.compile(r"[#*_`~${}]")


class Vocabulary:
    """The words of headings, with those that an assignment adds."""

    def __init__(self, headings: Iterable[str] = ()) -> None:
        added = [re.escape(plain) for heading in headings if (plain := plain_title(heading))]
        english, weak, links = f"{_WEAK[0]}|{_LINKS[0]}", _alternate(_WEAK[1:]), _alternate(_LINKS[1:])
        self._asks = re.compile("|".join([*(rf"(?<!\w){phrase}(?!\w)" for phrase in added), *_ASKS]))
        # Words of Korean, Chinese and Japanese stand together without spaces.
        # The groups are atomic: a long heading must not be tried in all ways to split it.
        self._known = re.compile(rf"{english}|(?>{_alternate(_ASKS[1:])}|{weak}|{links})++")
        self._linking = re.compile(rf"{_LINKS[0]}|(?>{links})++|\d+(?:st|[nr]d|th)?")

    def asks(self, title: str) -> bool:
        """Return whether a heading asks for the student's own words. `title` is from `plain_title`."""
        return self._asks.search(title) is not None or self.asks_only(title)

    def asks_only(self, title: str) -> bool:
        """Return whether a heading asks for words, and has no other word in it."""
        rest, asked = self._asks.subn(" ", title)
        is_asking = asked > 0
        for word in _WORD.findall(rest):
            if not self._linking.fullmatch(word):
                if not self._known.fullmatch(word):
                    return False
                is_asking = True
        return is_asking

    def is_overall(self, title: str) -> bool:
        """Return whether a heading says that it is about everything."""
        return _OVERALL.search(title) is not None

    def strip(self, title: str) -> str:
        """Return the words of a title in the singular, without those that only ask or link."""
        words = _WORD.findall(self._asks.sub(" ", title))
        return " ".join(_PLURAL.sub("", word) for word in words if not self._known.fullmatch(word))


def plain_title(line: str) -> str:
    """Return the words of a heading, normalised: without markup, and in lower case."""
    text = _LINK.sub(r"\1", _TAG.sub(" ", line[: 2 * LONGEST_TITLE]))
    text = unicodedata.normalize("NFKC", _MARKS.sub(" ", _COMMAND.sub(" ", text)))
    return " ".join(text.casefold().split())


def _alternate(patterns: Sequence[str]) -> str:
    return "|".join(patterns)
