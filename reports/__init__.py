"""What a run means: tables, findings, charts and pages of what the measuring side has written."""
