"""The mirror of a sweep in MLflow. The only importer of mlflow."""
