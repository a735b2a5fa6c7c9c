//! Replicas: timely workers, rendering, arrangements, publication, and the protocol.
