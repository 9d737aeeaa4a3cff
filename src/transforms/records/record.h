// Record: one row of CSV, or one JSON object, while it passes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace checkvalve {

enum class FieldKind : std::uint8_t { text, number, boolean, null, json }; // json: an array or object, compact

struct Field {
  std::string name;
  std::string value; // text: the bytes; else as JSON writes it
  FieldKind kind = FieldKind::text;
};

struct Record {
  std::vector<Field> fields;
  std::uint64_t line = 0; // of the input, at which it begins, from 1

  Field* find(std::string_view name) { return const_cast<Field*>(std::as_const(*this).find(name)); }
  const Field* find(std::string_view name) const {
    const auto found = std::ranges::find(fields, name, &Field::name);
    return found == fields.end() ? nullptr : &*found;
  }
};

} // namespace checkvalve
