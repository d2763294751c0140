"""What all chapters say together: section 7 of the survey."""
