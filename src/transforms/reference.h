// The page of the reference that lists every transform, made from the descriptors that options are parsed by.
#pragma once

#include <string>
#include <string_view>

namespace checkvalve {

std::string transforms_page(); // docs/reference/transforms.md

// Text as a cell of a Markdown table.
std::string table_cell(std::string_view text);

} // namespace checkvalve
