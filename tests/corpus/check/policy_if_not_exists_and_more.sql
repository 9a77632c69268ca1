create policy if not exists p on public.docs ​for select to authenticated using (id > 0);
create policy if not exists q on public.docs -- why
  for select using (true);
