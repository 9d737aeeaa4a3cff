// ListFile: keeps a target's list of checksums (Chain::checksum_list) what the state says of the published files.
//
// Several workers, of one plan or of several, end at about the same time, and each brings the list up to date. What
// holds: when update() succeeds, the list at the target has every record that was in the state when it was called, or
// later ones of the same files; and whoever writes after that writes these or later ones, too. It rests on this order:
// a worker has recorded its files before it calls; it takes the list (ChecksumListStore::take), by which the state
// forgets what is published; it reads the records only then; it publishes while it still has the list; and only then
// does the state say what is published. So a digest that the state gives is of a list that nobody is replacing, and who
// finds it to be that of the present records is done. Who finds the list taken waits and looks again. Of a writer that
// was killed, the digest is unknown, so the next worker writes the list.
#pragma once

#include <chrono>
#include <string>

#include "backends/temporary.h"
#include "core/hash.h"
#include "sync/boot_clock.h"
#include "sync/engine.h"
#include "sync/list_lines.h"

namespace checkvalve {

class Outputs;

// Engine thread only, one call at a time.
class ListFile {
public:
  // `hash`: what the target gives, with VerifyMode::hash.
  ListFile(Engine& engine, const Job& job, Connections& connections, ChecksumList list, HashAlgorithm hash);

  // Whether the list at the target is that of the present records, as far as the state and the target's size tell; also
  // where there is nothing to list. Moves no content.
  Task<Result<bool>> current();
  // Makes it so: waits while another worker writes it, writes it if need be, tries again as the job says. A file of
  // this name that was not written by this state is replaced only with OnConflict::overwrite: else kind exists.
  Task<Result<void>> update();

private:
  Task<Result<bool>> write_once();
  Task<Result<bool>> take();
  Task<Result<std::string>> publish();
  Task<Result<void>> check_ours();
  Task<Result<std::string>> send(std::string text, ListLines& lines, Outputs& outputs);
  Task<Result<void>> keep();
  Task<Result<void>> read_back(const std::string& digest);
  Result<void> ours() const;

  Engine& engine_;
  const Job& job_;
  Connections& connections_;
  const ChecksumList list_;
  const ListKey key_;
  const HashAlgorithm hash_;
  std::uint64_t bytes_ = 0; // of what was last published, or tried to; 0: nothing ever was
  // The present taking.
  TemporaryName temporary_;
  std::string orphan_; // of who had the list before and never gave it back
  std::string gone_;   // a holder that was found to have ended
  BootClock::time_point valid_until_;
};

} // namespace checkvalve
