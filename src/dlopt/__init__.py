"""dlopt: the code that the chapters of the book import.

Ground floor: :mod:`dlopt.runtime`, :mod:`dlopt.data`, :mod:`dlopt.models`, :mod:`dlopt.training`,
:mod:`dlopt.claims`, :mod:`dlopt.figures`.  Each wing above it mirrors a part of the survey:
:mod:`dlopt.tricks` is section 4.
"""
