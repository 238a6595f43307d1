"""Pure scoring: from similarities and boxes to the probability that an image answers a query, and where.

plan        the query as rows of a similarity matrix
similarity  vectors to similarities, similarities to probabilities
reading     boxes to "is read right after"
matching    one image: one-to-one matching, phrases, what must not be there
"""

from glyphseek.ranking.matching import ImageMatch, TermMatch, match_image
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit, plan_query
from glyphseek.ranking.reading import adjacency
from glyphseek.ranking.similarity import ABSENT_SIMILARITY, bound_scores, forgive, probabilities, term_similarities

__all__ = [
    "ABSENT_SIMILARITY",
    "Alternative",
    "ImageMatch",
    "QueryPlan",
    "TermMatch",
    "Unit",
    "adjacency",
    "bound_scores",
    "forgive",
    "match_image",
    "plan_query",
    "probabilities",
    "term_similarities",
]
