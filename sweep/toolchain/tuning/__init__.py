"""Tuning: searches over schedules, a pipeline of builds and measurements, and the records they leave."""
