"""Documents to numbers. Scores come with the stage that uses them."""
