"""dlopt: the code that the chapters of the book import.

Ground floor: :mod:`dlopt.runtime`, :mod:`dlopt.data`, :mod:`dlopt.claims`, :mod:`dlopt.figures`; the networks,
:mod:`dlopt.models`, :mod:`dlopt.convolutional` and :mod:`dlopt.architectures`, with :mod:`dlopt.initialization` and
:mod:`dlopt.normalization`; :mod:`dlopt.training`; :mod:`dlopt.curvature`, :mod:`dlopt.lanczos`,
:mod:`dlopt.arc_cosine` and :mod:`dlopt.power_laws`.  :mod:`dlopt.paper` runs a chapter at paper scale.

Each wing above it mirrors a part of the survey:
:mod:`dlopt.introduction` is section 1, :mod:`dlopt.tricks` section 4, :mod:`dlopt.algorithms` section 5,
:mod:`dlopt.landscape` section 6, :mod:`dlopt.kernels` section 6.3 and :mod:`dlopt.conclusions` section 7.  A wing
imports the ground floor, and no other.
"""
