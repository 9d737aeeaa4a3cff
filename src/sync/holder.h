// Holder: who has a lease, named so that a process that has ended can be distinguished from one that still works.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace checkvalve {

// "HOST:PID@BOOT-NAMESPACE-START": unique to this process for as long as the machine is up, and after.
std::string this_holder();

// True only if the holder was a process of this machine, boot and process namespace, and has ended: then its lease need
// not run out first. False where that is unknown.
bool is_gone(std::string_view holder);

// "HOST:PID", for people.
std::string_view shown_holder(std::string_view holder);

// Whether one of these holders of live leases may still be working.
bool any_alive(const std::vector<std::string>& holders);

} // namespace checkvalve
