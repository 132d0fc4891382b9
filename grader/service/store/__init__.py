"""What a service keeps: batches, gradings, reports, events and tokens in a database, notebooks and reports as blobs."""
