"""What the numbers say: statistics, result rows, the answer in words. Pure: no files, no Ray, no TVM, no MLflow."""
