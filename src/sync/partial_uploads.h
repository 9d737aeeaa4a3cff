// PartialUploads: what the attempts at one file leave at the target: what the next attempt, or another run, resumes of
// it, and the removal of the rest.
//
// There are three ways. Within a run the upload itself is kept, with the hash of what the target has acknowledged. A
// target that has records of its own finds what was left (Capabilities::resumes_uploads). For others
// (resumes_temporaries) the state keeps a record of each large file while it is written; another run that meets it, or
// gets the batch's lease, reads the beginning of the source again, and resumes where this has the recorded digest. It
// does so only once whoever wrote the file has certainly ended: a worker that was suspended past its lease would write
// into the file, which may have its final name by then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/async.h"
#include "core/result.h"
#include "core/task.h"
#include "state/store.h"
#include "sync/copy.h"
#include "sync/transfer.h"

namespace checkvalve {

// Of one file, over all its attempts. Engine thread only. After find(), finish() has to be called once.
class PartialUploads {
public:
  static constexpr std::uint64_t recorded_from_bytes = 64 << 20; // smaller files begin again in another run
  static constexpr std::uint64_t record_every_bytes = 64 << 20;

  PartialUploads(TransferScope& scope, const LeaseKeeper& keeper, const PlannedFile& file,
                 const std::string& target_path);

  // Before the first attempt: looks up what a lost lease or an earlier plan has left, and removes it if it can't be
  // resumed.
  Task<void> find();
  // Reads as much of the source as was found at the target. Where this version begins with other content, or the
  // partial upload is gone, the file begins again. `progress` gets the bytes read so far.
  Task<Result<void>> prove(const Entry& version, const Progress& progress);

  // Adds what the target may resume for a copy of this version of the source.
  void describe(const Entry& version, UploadHints& hints) const;
  // An upload for the present attempt: the one that was kept, one that was found, or a new one.
  Task<Result<PartialUpload>> begin(const Entry& version, UploadHints hints);
  // For a copy of this version that is under way: it has got so far.
  void acknowledged(const Entry& version, const Prefix& prefix);

  // Whether the target itself finds and resumes what ended attempts left (UploadHints::continues).
  bool target_resumes() const;
  // After a failure: keeps the upload for the next attempt. False: there is nothing that can be continued.
  bool may_keep() const;
  bool keep(std::optional<PartialUpload> partial);
  // Whether what is kept is further than what earlier attempts had: such a failure does not count against --retries.
  bool got_further();
  // The attempt with this temporary has ended.
  void ended(const TemporaryName& temporary);

  Task<void> drop();    // what was kept
  Task<void> discard(); // what ended attempts left
  // At the end. `leave`: for another run, what was kept or found of this version; else nothing remains of it.
  Task<void> finish(const Entry& version, bool leave);

private:
  Target& target() const { return *scope_.connections.target; }
  std::vector<TemporaryName> temporaries_of_lost_lease() const;
  bool records(std::uint64_t size_bytes) const;
  bool is_ours(const PartialUploadRecord& record) const;
  Task<Result<bool>> is_there() const;
  Task<void> forget_found();
  void record(const Entry& version, const Prefix& prefix, std::string holder);
  Task<void> write_records();

  TransferScope& scope_;
  const LeaseKeeper& keeper_;
  const PlannedFile& file_;
  const std::string& target_path_;
  std::optional<PartialUpload> kept_; // of the attempt that failed
  std::uint64_t furthest_ = 0;        // bytes that an attempt has had acknowledged
  std::vector<TemporaryName> left_;   // by attempts that have ended: of this lease, the lost one, an earlier plan

  std::optional<PartialUploadRecord> found_; // to be resumed
  std::vector<TemporaryName> found_names_;   // it may have been renamed by an attempt that has no answer
  std::optional<Prefix> proven_;             // of found_

  TemporaryName temporary_; // of the present upload
  std::uint64_t recorded_bytes_ = 0;
  std::string recorded_temporary_; // empty: nothing is recorded
  std::optional<PartialUploadRecord> to_record_;
  bool recording_ = false;
  TaskGroup recordings_;
};

} // namespace checkvalve
