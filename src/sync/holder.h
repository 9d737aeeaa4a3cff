// Holder: who has a lease, so named that a process which is gone can be told from one that works on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace checkvalve {

// "HOST:PID@BOOT-NAMESPACE-START": unique to this process for as long as the machine is up, and after.
std::string this_holder();

// True only if the holder was a process of this machine, boot and process namespace, and has ended: then its lease need
// not run out first. False where that can't be told.
bool is_gone(std::string_view holder);

// "HOST:PID", for people.
std::string_view shown_holder(std::string_view holder);

// Whether one of these holders of live leases may still be working.
bool any_alive(const std::vector<std::string>& holders);

} // namespace checkvalve
