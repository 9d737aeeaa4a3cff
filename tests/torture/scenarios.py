"""All scenarios by name, in the order in which they run."""

from __future__ import annotations

from torture import disks, kills, leaks, matrix, resumes, states, wire, workers
from torture.session import Scenario

SCENARIOS: dict[str, Scenario] = {
    "sftp-steps": kills.sftp_steps,
    "local-steps": kills.local_steps,
    "s3-steps": kills.s3_steps,
    "random-kills": kills.random_moments,
    "wire": wire.wire_faults,
    "slow-line": wire.slow_line,
    "large-files": resumes.large_files,
    "full-disk": disks.full_disk,
    "quota": disks.quota,
    "read-only": disks.read_only_disk,
    "changing-source": disks.changing_source,
    "vanished-target": disks.vanished_target,
    "hostile-names": disks.hostile_names,
    "planted-links": disks.planted_links,
    "state": states.damaged_state,
    "postgres": states.postgres_outages,
    "workers": workers.shared_plans,
    "secrets": leaks.secrets_in,
    "servers": matrix.server_matrix,
}
