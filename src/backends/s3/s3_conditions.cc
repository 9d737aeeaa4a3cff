#include "backends/s3/s3_conditions.h"

#include "backends/s3/s3_copy.h"
#include "backends/temporary.h"
#include "core/path.h"

namespace checkvalve {

Task<bool> S3Conditions::hold_for_writes(std::string path) { co_return (co_await find(std::move(path))).writes; }

Task<bool> S3Conditions::hold_for_copies(std::string path) { co_return (co_await find(std::move(path))).copies; }

Task<S3Conditions::Found> S3Conditions::find(std::string path) {
  switch (client_->settings().conditional_writes) {
  case ConditionalWrites::no: co_return Found{false, false};
  case ConditionalWrites::yes: co_return Found{true, true};
  case ConditionalWrites::unknown: break;
  }
  const auto turn = co_await turn_.acquire();
  if (!found_) {
    const TemporaryName name{random_plan_id(), 1, random_nonce(), 0};
    found_ = co_await probe(client_->key_of(name.beside(path)));
    if (!found_) { // not known yet: this file is looked up before it is written
      co_return Found{};
    }
    if (!found_->writes)
      client_->warn_once("the service does not honour If-None-Match, so \"only if absent\" is a look before the write, "
                         "with a moment between the two");
  }
  co_return *found_;
}

// Nothing: it could not be found out.
Task<std::optional<bool>> S3Conditions::refuses_existing(S3Request request) {
  request.headers.emplace_back("if-none-match", "*");
  const auto answer = co_await client_->call(std::move(request));
  if (!answer && answer.error().transient()) co_return std::nullopt;
  co_return !answer && answer.error().kind == ErrorKind::changed;
}

// The object is made, and must be refused as existing, once by a write and once by a copy onto itself. (With new
// metadata, as a copy onto itself that changes nothing is refused for that.)
Task<std::optional<S3Conditions::Found>> S3Conditions::probe(std::string key) {
  S3Request write;
  write.operation = "try conditional writes with";
  write.method = "PUT";
  write.key = key;
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of(std::string_view("checkvalve tries If-None-Match")));
  write.body = body;
  client_->add_checksum(write);
  if (!co_await client_->call(write)) co_return std::nullopt;
  const auto writes = co_await refuses_existing(write);
  S3Request copy;
  copy.operation = write.operation;
  copy.method = "PUT";
  copy.key = key;
  copy.headers = {{"x-amz-copy-source", copy_source(client_->settings(), key)},
                  {"x-amz-metadata-directive", "REPLACE"}};
  const auto copies = writes.value_or(false) ? co_await refuses_existing(std::move(copy)) : std::optional(false);
  S3Request remove;
  remove.operation = write.operation;
  remove.method = "DELETE";
  remove.key = std::move(key);
  if (auto removed = co_await client_->call(std::move(remove)); !removed)
    client_->warn_once("a temporary object is left behind, sweep removes it: " + removed.error().text());
  if (!writes || !copies) co_return std::nullopt;
  co_return Found{*writes, *copies};
}

} // namespace checkvalve
