#include "state/postgres_wire.h"

#include <endian.h>

#include <cstring>

namespace checkvalve {
namespace {

// Of pg_type; fixed in all versions.
constexpr Oid bytea_type = 17;
constexpr Oid bigint_type = 20;
constexpr Oid text_type = 25;
constexpr Oid unknown_type = 0; // the server takes it from the context

template <class T> T read_raw(const char* data) {
  T value = 0;
  std::memcpy(&value, data, sizeof value);
  return value;
}

template <class T> void append_raw(std::string& out, T big_endian) {
  out.append(reinterpret_cast<const char*>(&big_endian), sizeof big_endian);
}

void append_field(std::string& out, std::string_view bytes) {
  append_raw(out, htobe32(static_cast<std::uint32_t>(bytes.size())));
  out += bytes;
}

} // namespace

PostgresParameters::PostgresParameters(std::span<const SqlValue> values)
    : types_(values.size(), unknown_type), values_(values.size(), nullptr), lengths_(values.size(), 0),
      formats_(values.size(), 1), integers_(values.size(), 0) {
  const auto set = [this](std::size_t i, Oid type, std::string_view bytes) {
    types_[i] = type;
    values_[i] = bytes.data() ? bytes.data() : ""; // a null pointer would be NULL
    lengths_[i] = static_cast<int>(bytes.size());
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (const auto* number = std::get_if<std::int64_t>(&values[i])) {
      integers_[i] = htobe64(static_cast<std::uint64_t>(*number));
      set(i, bigint_type, {reinterpret_cast<const char*>(&integers_[i]), sizeof integers_[i]});
    } else if (const auto* text = std::get_if<SqlText>(&values[i])) {
      set(i, text_type, text->value);
    } else if (const auto* bytes = std::get_if<SqlBytes>(&values[i])) {
      set(i, bytea_type, bytes->value);
    }
  }
}

std::int64_t PostgresRow::integer(int column) const {
  const char* data = PQgetvalue(result_, row_, column);
  if (PQgetlength(result_, row_, column) == 8) return static_cast<std::int64_t>(be64toh(read_raw<std::uint64_t>(data)));
  return static_cast<std::int32_t>(be32toh(read_raw<std::uint32_t>(data)));
}

std::string_view PostgresRow::bytes(int column) const {
  return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

void append_copy_header(std::string& out) {
  out.append("PGCOPY\n\377\r\n\0", 11);
  append_raw(out, std::uint32_t{0}); // flags
  append_raw(out, std::uint32_t{0}); // length of the header's extension
}

void append_copy_row(std::string& out, std::span<const SqlValue> values) {
  append_raw(out, htobe16(static_cast<std::uint16_t>(values.size())));
  for (const SqlValue& value : values) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      append_raw(out, htobe32(8U));
      append_raw(out, htobe64(static_cast<std::uint64_t>(*number)));
    } else if (const auto* text = std::get_if<SqlText>(&value)) {
      append_field(out, text->value);
    } else if (const auto* bytes = std::get_if<SqlBytes>(&value)) {
      append_field(out, bytes->value);
    } else {
      append_raw(out, htobe32(0xFFFFFFFFU)); // NULL
    }
  }
}

void append_copy_end(std::string& out) { append_raw(out, htobe16(0xFFFFU)); }

} // namespace checkvalve
