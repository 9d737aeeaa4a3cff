// The transforms that this program has: those of the families that it was built with (CMake: CHECKVALVE_TRANSFORMS).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "transforms/transform.h"

namespace checkvalve {

std::span<const TransformDescriptor* const> transforms();
// Null if there is none.
const TransformDescriptor* find_transform(std::string_view name);
// For messages about an unknown name: "expected one of gzip, …", and which families this program was built without.
std::string known_transforms();

// An option that every transform has: the name under which its files are published, instead of the transform's own
// rule.
inline constexpr OptionSpec rename_option = {
    "rename", OptionType::text, "",
    "base name of the published file; {name}, {stem} and {ext} (with its dot) are those of the input, {part} is the "
    "number of the part"};

// Looks the name up, checks the options against the descriptor (unknown names and unreadable values are
// ErrorKind::config) and makes it.
struct MadeTransform {
  const TransformDescriptor* descriptor = nullptr;
  std::shared_ptr<const Transform> transform;
};
Result<MadeTransform> make_transform(const TransformCall& call);

} // namespace checkvalve
