"""What the numbers say: statistics, result rows, the answer in words. Pure but for `saved`, which reads."""
