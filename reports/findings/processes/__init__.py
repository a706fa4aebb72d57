"""What a run found about its cases of several processes: scaling, communication, ranks, collectives, the control."""
