"""What is special to neural networks: sections 3.1 and 4 of the survey.

Each module is one subject: :mod:`dlopt.tricks.backpropagation` computes the gradient,
:mod:`dlopt.tricks.signal_propagation` what a random network does to signals, :mod:`dlopt.tricks.fixup` a start that
needs no normalization.
"""
