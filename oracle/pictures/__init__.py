"""What is drawn: fans, curves, figures, and reports as HTML."""
