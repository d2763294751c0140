"""Section 5 of the survey and the analysis of section 3.2: the algorithms that train, and what is proved of them."""
