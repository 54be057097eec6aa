"""From the service to the frame: pages are read by windows of time and become typed tables and Parquet datasets."""
