"""The landscape of the training problem, section 6 of the survey, and the classical problems inside it, section 2."""
