// The state file of SQLite as a file: where it may lie, how it is created, and what happens to a damaged one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

// "NFS", "SMB", … for a file system that other machines share, on which SQLite's locks and shared memory are not safe;
// nothing for a local one. `magic`: statfs's f_type; `mount_type`: as in /proc/self/mountinfo, asked where the magic
// (FUSE) does not tell.
std::optional<std::string> network_file_system(long magic, std::string_view mount_type);
// The file system type of the device `major:minor` in the text of /proc/self/mountinfo; empty if it is not there.
std::string mount_type_of(std::string_view mountinfo, std::string_view device);

// Makes the parents and, if there is none, an empty file with mode 0600. Refuses what is not a regular file and what
// lies on a network file system. `path` is absolute.
Result<void> prepare_state_file(const std::string& path);

// Identifies a file across renames; device and inode. Empty if there is none.
std::string file_identity(const std::string& path);
// Whether the file, damaged or not, is an SQLite database with our tables: by its first bytes, and by the definition of
// a table of ours near its start or that of its -wal.
bool looks_like_state(const std::string& path);
// Renames the file, its -wal and its -shm to NAME.corrupt-<time>, if `path` still is the file `identity`: another
// process may have done it. The new name, or empty.
Result<std::string> set_aside(const std::string& path, const std::string& identity);

// A sign beside the file that a process met damage in it: the next one to open it checks it whole.
void mark_damaged(const std::string& path);
bool marked_damaged(const std::string& path);
void clear_damaged(const std::string& path);

} // namespace checkvalve
