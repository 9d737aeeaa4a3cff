// Transfer: one file from source to target: read, write under a temporary name, check, publish; tried again as the
// job says.
#pragma once

#include "core/hash.h"
#include "state/store.h"
#include "sync/directories.h"
#include "sync/engine.h"
#include "sync/lease_keeper.h"
#include "sync/space_turns.h"
#include "transforms/chain.h"

namespace checkvalve {

// What the files of a run share.
struct TransferScope {
  Engine& engine;
  const Job& job;
  const Chain& chain;
  Connections& connections;
  DirectoryMaker& directories;
  SpaceTurns& space;
  HashAlgorithm hash = HashAlgorithm::xxh128; // of digests; what the target gives, with VerifyMode::hash
};

// Bytes of buffers, and of transforms at work, that a file of this size needs to go at full speed.
std::uint64_t window_for(const TransferScope& scope, std::uint64_t size_bytes);

// Does what the plan says of this file; all failures are in the outcome. An outcome of state `planned` means that the
// run was stopped before the file was done. `window_bytes`: buffers that this file may use.
Task<FileOutcome> transfer_file(TransferScope& scope, const LeaseKeeper& keeper, PlannedFile file,
                                std::uint64_t window_bytes);

} // namespace checkvalve
