// The page of the reference that lists every transform, made from the descriptors that options are parsed by.
#pragma once

#include <string>

namespace checkvalve {

std::string transforms_page(); // docs/reference/transforms.md

} // namespace checkvalve
