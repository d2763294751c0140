"""What is special to neural networks: sections 3.1 and 4 of the survey.

Each module is one subject: :mod:`dlopt.tricks.backpropagation` computes the gradient.
"""
