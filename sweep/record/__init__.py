"""Keeping results: Parquet tables of a sweep and their mirror in MLflow. The only importer of mlflow."""
