"""Pure scoring: from similarities and boxes to the probability that an image answers a query, and where.

plan        the query as rows of a similarity matrix
gathered    the words of several images in one row
similarity  vectors to similarities, similarities to probabilities
spelling    letters to similarities; tolerant_spelling, where edits are forgiven
fusion      cosine and match probability of a reranked image to one score
regions     attention maps to places
reading     boxes to "is read right after"
bounds      scores that images cannot pass
matching    one image: one-to-one matching, phrases, what must not be there
"""

from glyphseek.ranking.bounds import Steps, bound_scores, bound_steps
from glyphseek.ranking.fusion import fuse
from glyphseek.ranking.gathered import Gathered
from glyphseek.ranking.matching import ImageMatch, TermMatch, match_image
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit, plan_query
from glyphseek.ranking.reading import adjacency
from glyphseek.ranking.regions import Regions, find_regions, share_of_highest
from glyphseek.ranking.similarity import ABSENT_SIMILARITY, forgive, probabilities, term_similarities
from glyphseek.ranking.spelling import is_spelt, spell, spell_text, spelt_similarities

__all__ = [
    "ABSENT_SIMILARITY",
    "Alternative",
    "Gathered",
    "ImageMatch",
    "QueryPlan",
    "Regions",
    "Steps",
    "TermMatch",
    "Unit",
    "adjacency",
    "bound_scores",
    "bound_steps",
    "find_regions",
    "forgive",
    "fuse",
    "is_spelt",
    "match_image",
    "plan_query",
    "probabilities",
    "share_of_highest",
    "spell",
    "spell_text",
    "spelt_similarities",
    "term_similarities",
]
