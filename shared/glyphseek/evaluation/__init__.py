"""How well a method finds words in a gallery of photos: mean average precision, recall, and the papers' figures."""

from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, QueryList, TextItem
from glyphseek.evaluation.plot import plot_breakdowns
from glyphseek.evaluation.report import Report, evaluate, report_to_dict, save_reports
from glyphseek.evaluation.reranked import GalleryReranker
from glyphseek.evaluation.scoring import encode_words, matrix_scorer, score_gallery, score_queries
from glyphseek.evaluation.spelled import GallerySpeller
from glyphseek.evaluation.table import comparison_table, summary_table

__all__ = [
    "Benchmark",
    "BenchmarkImage",
    "GalleryReranker",
    "GallerySpeller",
    "QueryList",
    "Report",
    "TextItem",
    "comparison_table",
    "encode_words",
    "evaluate",
    "matrix_scorer",
    "plot_breakdowns",
    "report_to_dict",
    "save_reports",
    "score_gallery",
    "score_queries",
    "summary_table",
]
